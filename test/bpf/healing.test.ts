/**
 * What is left of new sessions after a split brain: both gateways were Active and cut off from each other, one of them,
 * the survivor, in the later term. Its sessions all stay; of the other's, the fenced one's, only those end whose internal
 * endpoint has got another port at the survivor.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { dissect, layerOf } from '../support/dissect.js';
import type { GatewayFixture } from '../support/gateway-fixture.js';
import { Pair } from '../support/pair.js';
import { ipv4, udp } from '../support/packet.js';
import { a1, frameFromVm, fromOutside, server, tenantA, vmOf, type VirtualMachine } from '../support/world.js';

const pair = Pair.load();
const { a: fenced, b: survivor } = pair;
afterAll(() => pair.close());

const [BEFORE, CONTESTED, OF_FENCED, OF_SURVIVOR] = [5000, 5010, 5020, 5030];

/** By which external port a VM's datagram leaves, with the commit's way where there is one. */
function send(gateway: GatewayFixture, vm: VirtualMachine, port: number): number {
  const { final } = pair.forward(gateway, 'underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination: server }), udp({ sourcePort: port, destinationPort: 53 })]));
  expect(final.verdict, JSON.stringify(final.counters)).toBe('REDIRECT');
  return layerOf(dissect(final.frame), 'udp').sourcePort;
}

const answer = (gateway: GatewayFixture, port: number) =>
  gateway.run('external', fromOutside([ipv4({ source: server, destination: tenantA.externalAddress }), udp({ sourcePort: 53, destinationPort: port })]));

function cutOff(): void {
  survivor.setState('active', { term: 2 });
  for (const gateway of [fenced, survivor]) gateway.setPeerAlive(false);
}

/** The fenced one follows the later term; then each tells all that it has. @returns what the fenced one's frames came to */
function heal(first: 'fenced' | 'survivor'): string[] {
  for (const gateway of [fenced, survivor]) gateway.setPeerAlive(true);
  fenced.setState('backup', { term: 2 });
  const order = first === 'fenced' ? [fenced, survivor] : [survivor, fenced];
  const told = order.map((gateway) => pair.walk(gateway, 'bulk_xdp'));
  return told[order.indexOf(fenced)]!.acknowledged.flatMap(({ counters }) => Object.keys(counters));
}

describe.each(['fenced', 'survivor'] as const)('healing, the %s one tells first', (first) => {
  beforeEach(() => pair.reset());

  it('all of the survivor\'s stay, of the fenced one\'s those that are not contested; the tables agree', () => {
    const before = send(fenced, a1, BEFORE);
    cutOff();
    const theirs = { contested: send(fenced, a1, CONTESTED), own: send(fenced, a1, OF_FENCED) };
    const ours = { contested: send(survivor, a1, CONTESTED), own: send(survivor, a1, OF_SURVIVOR) };
    expect(ours.contested).not.toBe(theirs.contested);
    const said = heal(first);
    // Where the survivor has told first, nothing is contested any more.
    expect(said.includes('drop_sync_term')).toBe(first === 'fenced');

    expect(pair.differences()).toEqual([]);
    for (const [port, external] of [[BEFORE, before], [CONTESTED, ours.contested], [OF_SURVIVOR, ours.own], [OF_FENCED, theirs.own]] as const) {
      expect(send(survivor, a1, port), `port ${port}`).toBe(external);
      expect(answer(survivor, external).counters).toEqual({ inbound_snat: 1 });
    }
    expect(answer(survivor, theirs.contested).counters).toMatchObject({ drop_no_mapping: 1 });
    for (const gateway of [fenced, survivor]) expect(gateway.mappings().map(({ externalPort }) => externalPort).sort()).toEqual([before, ours.contested, ours.own, theirs.own].sort());
  });

  it('a VM that both have heard of while they were cut off/the survivor\'s stay', () => {
    const vm = vmOf(tenantA, 77);
    cutOff();
    for (const port of [CONTESTED, OF_FENCED]) send(fenced, vm, port);
    const ours = [CONTESTED, OF_SURVIVOR].map((port) => send(survivor, vm, port));
    heal(first);
    expect([CONTESTED, OF_SURVIVOR].map((port) => send(survivor, vm, port))).toEqual(ours);
    // Each had a key of its own for the VM: what the fenced one still holds by the old one is not found, and goes when they compare.
    pair.repair(survivor, pair.differences());
    expect(pair.differences()).toEqual([]);
    for (const external of ours) expect(answer(survivor, external).counters).toEqual({ inbound_snat: 1 });
  });

  it('a VM that the fenced one alone has heard of/all of its sessions stay', () => {
    const vm = vmOf(tenantA, 78);
    cutOff();
    const theirs = [CONTESTED, OF_FENCED].map((port) => send(fenced, vm, port));
    heal(first);
    expect([CONTESTED, OF_FENCED].map((port) => send(survivor, vm, port))).toEqual(theirs);
    for (const external of theirs) expect(answer(survivor, external).counters).toEqual({ inbound_snat: 1 });
    expect(pair.differences()).toEqual([]);
  });
});
