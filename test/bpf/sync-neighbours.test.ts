/**
 * A pair in which one gateway is of the version after ours, as in the middle of an
 * upgrade. Each sends its own and reads the other's, so nothing is negotiated:
 * everything that two of ours do has to work, whichever of them is the Active.
 */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventType } from '../../src/dataplane/layout.generated.js';
import { heartbeatFrame, syncFrame, SYNC_TYPE_CONTROL, SYNC_VERSION } from '../../src/sync/frame.js';
import type { HaPath } from '../../src/sync/frame.js';
import { decodeMessage, encodeMessage } from '../../src/sync/messages.js';
import type { Hello, Message } from '../../src/sync/messages.js';
import { ipv4ToNumber } from '../support/bytes.js';
import { dissect, layerOf } from '../support/dissect.js';
import type { GatewayFixture } from '../support/gateway-fixture.js';
import { ipv4 } from '../support/packet.js';
import { isSyncFrame, Pair, syncMessage } from '../support/pair.js';
import { messageMac, SYNC_FLAG } from '../support/sync-frame.js';
import { emittedBy, mappingOf, overTcp, overUdp } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a3, frameFromVm, fromOutside, server, type VirtualMachine } from '../support/world.js';

vi.setConfig({ testTimeout: 60_000 });
const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const MAC_OFFSET = 24;
const ADDRESS = world.tenantA.externalAddress;

/** `newer` speaks that version: what it sends first, and what it is answered. */
function speak(newer: GatewayFixture, version: number): void {
  pair.crossing = (frame, from) => {
    const crossing = Buffer.from(frame);
    const message = syncMessage(crossing);
    const isReply = (message[2]! & SYNC_FLAG.reply) !== 0;
    // Answers go back in the version that they came in.
    if ((from === newer) === isReply) return crossing;
    message[0] = version;
    message.writeBigUInt64BE(messageMac(message, world.SYNC_KEY), MAC_OFFSET);
    return crossing;
  };
}

const out = (vm: VirtualMachine, segment: ReturnType<typeof overUdp.request>): Buffer => frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), ...segment]);
const versionOf = (frame: Buffer): number => layerOf(dissect(frame), 'sync').version!;
const nodeOf = (gateway: GatewayFixture): world.Node => (gateway === pair.a ? world.nodeA : world.nodeB);

function pathOf(from: GatewayFixture): HaPath {
  const [source, destination] = [nodeOf(from), nodeOf(pair.other(from))];
  const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
  return { sourceMac: mac(source.ha.mac), destinationMac: mac(destination.ha.mac), sourceAddress: ipv4ToNumber(source.ha.address), destinationAddress: ipv4ToNumber(destination.ha.address) };
}

const sealed = (from: GatewayFixture, template: Buffer): Buffer => pair.crossing(from.run('seal_xdp', template).frame, from);

/** What the other's control plane reads of it. */
async function heard(from: GatewayFixture, json: Buffer): Promise<(Message | undefined)[]> {
  const to = pair.other(from);
  const emitted = await emittedBy(to);
  expect(to.run('ha_xdp', sealed(from, syncFrame(pathOf(from), SYNC_TYPE_CONTROL, 0, json))).counters).toEqual({ sync_to_control_plane: 1 });
  const messages = (): typeof emitted => emitted.filter(({ event }) => event.type === eventType.syncMessage);
  await vi.waitFor(() => expect(messages()).toHaveLength(1), { timeout: 20_000 });
  return messages().map(({ frame }) => decodeMessage(frame));
}

describe.each([['Active', 'a'], ['standby', 'b']] as const)('the %s is of the next version', (_, newer) => {
  beforeEach(() => speak(pair[newer], SYNC_VERSION + 1));

  it('sessions are committed, in both directions', () => {
    const { steps } = pair.forward(pair.a, 'underlay', out(a1, overUdp.request(4000)));
    expect(steps.map(({ counters }) => counters)).toMatchObject([{ commit_sent: 1 }, { commit_applied: 1 }, { commit_released: 1 }]);
    expect(versionOf(steps[1]!.frame)).toBe(newer === 'a' ? SYNC_VERSION + 1 : SYNC_VERSION);
    pair.takeOver(pair.b, 'draining');
    const back = pair.forward(pair.b, 'underlay', out(a3, overUdp.request(4000)));
    expect(back.steps.map(({ counters }) => counters)).toMatchObject([{ commit_sent: 1 }, { commit_applied: 1 }, { commit_released: 1 }]);
    expect([pair.differences(), mappingOf(pair.a, a3, overUdp, 4000).externalPort]).toEqual([[], mappingOf(pair.b, a3, overUdp, 4000).externalPort]);
  });

  it('what was established goes on after a takeover', () => {
    pair.forward(pair.a, 'underlay', out(a1, overTcp.request(5000)));
    const { externalPort } = mappingOf(pair.a, a1, overTcp, 5000);
    pair.takeOver(pair.b, 'dead');
    const { verdict } = pair.b.run('external', fromOutside([ipv4({ source: server, destination: ADDRESS }), ...overTcp.reply(externalPort)]));
    expect(verdict).toBe('REDIRECT');
  });

  it('a bulk round is acknowledged whole, and both sum up to the same', () => {
    for (let port = 4000; port < 4020; port += 1) pair.a.run('underlay', out(a1, overUdp.request(port)));
    expect(pair.differences()).not.toEqual([]);
    const { sent, acknowledged } = pair.walk(pair.a, 'bulk_xdp');
    expect([acknowledged.length, acknowledged.every(({ counters }) => counters.sync_acknowledged === 1)]).toEqual([sent.length, true]);
    expect(pair.differences()).toEqual([]);
  });

  it('what was lost is found by the sums, and repaired', () => {
    pair.forward(pair.a, 'underlay', out(a1, overUdp.request(4000)));
    pair.a.run('underlay', out(a1, overUdp.request(4001)));
    const different = pair.differences();
    expect(different).not.toEqual([]);
    pair.repair(pair.a, different);
    expect(pair.differences()).toEqual([]);
  });

  it.each(['a', 'b'] as const)('heartbeats of %s are answered, with the roles', (sender) => {
    const from = pair[sender], to = pair.other(from);
    const beat = sealed(from, heartbeatFrame(pathOf(from), 'ha'));
    const turned = to.run('ha_xdp', beat);
    expect(turned.counters).toEqual({ heartbeat_turned: 1 });
    expect(from.run('ha_xdp', pair.crossing(turned.frame, to)).counters).toEqual({ heartbeat_returned: 1 });
    expect(from.liveness.get(0)).toMatchObject({ rolesKnown: 1n });
  });

  it.each(['a', 'b'] as const)('%s is understood by the other\'s control plane', async (sender) => {
    const hello: Hello = { type: 'hello', version: SYNC_VERSION, name: 'gw', id: 0, epoch: 1, generation: 5, holds: 4, want: 3, virtualRouters: [{ vrid: 51, state: 2, term: 9, penalty: 0 }] };
    const messages: Message[] = [
      hello, { type: 'bulkComplete', generation: 5, want: 3 }, { type: 'compare', round: 7, seed: '0123456789abcdef', parts: [0] },
      { type: 'digests', round: 7, part: 0, digests: Array.from({ length: 32 }, () => '0123456789abcdef') },
      { type: 'repair', repair: 9, step: 'doubt', seed: '0123456789abcdef', segments: [1, 5], done: false },
    ];
    for (const message of messages) expect(await heard(pair[sender], encodeMessage(message))).toEqual([message]);
  });
});

describe('a peer two versions away', () => {
  it.each(['a', 'b'] as const)('is refused, all that %s says, for one reason; the Active goes on alone', (far) => {
    speak(pair[far], SYNC_VERSION + 2);
    const near = pair.other(pair[far]);
    const refused = (frame: Buffer): void => expect(near.run('ha_xdp', frame).counters).toEqual({ drop_sync_version: 1 });
    refused(sealed(pair[far], heartbeatFrame(pathOf(pair[far]), 'ha')));
    refused(sealed(pair[far], syncFrame(pathOf(pair[far]), SYNC_TYPE_CONTROL, 0, Buffer.from('{}'))));
    if (far === 'a') refused(pair.crossing(pair.a.run('underlay', out(a1, overUdp.request(4000))).frame, pair.a));
    expect([near.mappings(), near.vm(a1)]).toEqual([[], undefined]);
    // It is silent by that, and nothing waits for it.
    pair.a.setPeerAlive(false);
    const alone = pair.a.run('underlay', out(a1, overUdp.request(4001)));
    expect([alone.verdict, alone.counters.session_unprotected, isSyncFrame(alone.frame)]).toEqual(['REDIRECT', 1, false]);
  });
});

it('what a later version adds to a message is skipped, and messages that only it knows are', async () => {
  speak(pair.a, SYNC_VERSION + 1);
  expect(await heard(pair.a, Buffer.from('{"version":2,"type":"bulkComplete","generation":1,"want":2,"later":true}'))).toEqual([{ type: 'bulkComplete', generation: 1, want: 2 }]);
  expect(await heard(pair.a, Buffer.from('{"version":2,"type":"unheardOf"}'))).toEqual([undefined]);
});
