/** What a card does by itself (linux/ethtool_netlink.h). */
import { interfaceIndex } from '../socket.js';
import { NetlinkChannel } from './channel.js';
import { attribute, eachAttribute, parseAttributes, stringAttribute } from './message.js';

const NETLINK_GENERIC = 16;
const GENERIC_HEADER_SIZE = 4;
/** GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_* */
const controller = { type: 16, getFamily: 3, familyId: 1, familyName: 2 } as const;
/** ETHTOOL_MSG_FEATURES_GET, ETHTOOL_A_* */
const features = { get: 11, header: 1, interface: 1, active: 4 } as const;
const bitset = { bits: 3, name: 2 } as const;
const NESTED = 0x8000;

/**
 * Names of the features that are on, as `ethtool -k` has them: 'rx-vlan-hw-parse', 'rx-vlan-filter' … Since Linux 5.7.
 * @throws {SystemError} ENODEV; ENOENT where the kernel has no ethtool netlink
 */
export async function activeFeatures(link: string | number): Promise<ReadonlySet<string>> {
  const channel = new NetlinkChannel(NETLINK_GENERIC);
  try {
    const family = await familyOf(channel, 'ethtool');
    const index = typeof link === 'number' ? link : interfaceIndex(link);
    const header = attribute(features.header | NESTED, attribute(features.interface, index));
    const [answer] = await channel.request({ operation: `ETHTOOL_MSG_FEATURES_GET ${link}`, type: family, flags: 0, payload: Buffer.concat([genericHeader(features.get), header]) });
    const active = answer && parseAttributes(answer.payload, GENERIC_HEADER_SIZE).get(features.active);
    const bits = active && parseAttributes(active).get(bitset.bits);
    return new Set(bits === undefined ? [] : eachAttribute(bits).map(([, bit]) => stringAttribute(parseAttributes(bit), bitset.name) ?? ''));
  } finally {
    channel.close();
  }
}

async function familyOf(channel: NetlinkChannel, name: string): Promise<number> {
  const payload = Buffer.concat([genericHeader(controller.getFamily), attribute(controller.familyName, name)]);
  const [answer] = await channel.request({ operation: `CTRL_CMD_GETFAMILY ${name}`, type: controller.type, flags: 0, payload });
  return (answer && parseAttributes(answer.payload, GENERIC_HEADER_SIZE).get(controller.familyId)?.readUInt16LE()) ?? 0;
}

function genericHeader(command: number): Buffer {
  return Buffer.from([command, 1, 0, 0]);
}
