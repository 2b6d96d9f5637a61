/** The test vectors of bpf/WIRE.md: what is written there is what the codec of the tests and the programs do. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { parseKey } from '../../../src/config/key.js';
import { GatewayFixture } from '../../support/gateway-fixture.js';
import { ethernet, frame, ipv4, payload, udp } from '../../support/packet.js';
import { syncMessage } from '../../support/pair.js';
import { decodeSync, encodeSync, messageMac, SYNC_PORT } from '../../support/sync-frame.js';
import { nodeA, nodeB } from '../../support/world.js';

const DOCUMENT = new URL('../../../bpf/WIRE.md', import.meta.url);
const block = /```vectors\nkey ([0-9a-f]{32})\n([^`]*)```/.exec(readFileSync(DOCUMENT, 'utf8'));
if (block === null) throw new Error('bpf/WIRE.md has no vectors');
const parsed = parseKey(block[1]!);
if ('error' in parsed) throw new Error(parsed.error);
const key = parsed.key.words();
const vectors = new Map(block[2]!.trim().split(/\n\n/).map((text) => {
  const [name, ...digits] = text.split('\n');
  return [name!, Buffer.from(digits.join(''), 'hex')] as const;
}));

const gateway = GatewayFixture.load();
afterAll(() => gateway.close());
beforeEach(() => {
  gateway.reset({ node: nodeB, state: 'backup', peerAlive: false });
  gateway.setGateway({ key: [...key] });
});

const received = (name: string): Buffer => frame(
  ethernet({ source: nodeA.ha.mac, destination: nodeB.ha.mac }),
  ipv4({ source: nodeA.ha.address, destination: nodeB.ha.address, ttl: 255, dontFragment: true }),
  udp({ sourcePort: SYNC_PORT, destinationPort: SYNC_PORT, checksum: 0 }),
  payload(vectors.get(name)!),
);

describe('the vectors of bpf/WIRE.md', () => {
  it('are those that the text announces', () => {
    expect([...vectors.keys()]).toEqual(['heartbeat', 'roles asked', 'roles told', 'commit', 'end', 'control']);
  });

  it.each([...vectors])('%s: the MAC is that of the key, and decoded and encoded again it is the same', (_, bytes) => {
    const { sync, body } = decodeSync(bytes)!;
    expect(sync.mac).toBe(messageMac(bytes, key));
    expect(encodeSync(sync, body).toString('hex')).toBe(bytes.toString('hex'));
  });

  it.each([['heartbeat', 'heartbeat_turned'], ['roles asked', 'heartbeat_turned'], ['commit', 'commit_applied'], ['end', 'sync_applied'], ['control', 'sync_to_control_plane']])('%s: the programs take it', (name, reason) => {
    expect(gateway.run('ha_xdp', received(name)).counters).toEqual({ [reason]: 1 });
  });

  it('roles asked: the answer is that of roles told, where the gateway is Active', () => {
    gateway.setState('active');
    const { frame: turned } = gateway.run('ha_xdp', received('roles asked'));
    expect(syncMessage(turned).toString('hex')).toBe(vectors.get('roles told')!.toString('hex'));
  });

  it('commit and end: the mapping comes and goes', () => {
    gateway.run('ha_xdp', received('commit'));
    expect(gateway.mappings()).toMatchObject([{ externalAddress: '10.0.2.201', externalPort: 1024, internalPort: 5000, protocol: 1 }]);
    for (const { index } of gateway.mappings()) gateway.mappingTable.update(index, { lastSeen: 0, first: { ...gateway.mappingTable.get(index).first, lastSeen: 1 } });
    gateway.run('ha_xdp', received('end'));
    expect(gateway.mappings()).toEqual([]);
  });
});
