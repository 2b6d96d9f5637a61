/** `floatgate sessions kill`: a session ends here at once, and at the peer as soon as the record has come. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { parseQuery } from '../../src/api/query.js';
import { killParameters } from '../../src/api/session-query.js';
import { mappingBehaviour, sessionEndCodec, sessionEndOffsets, syncRecordCodec } from '../../src/dataplane/layout.generated.js';
import type { Directory } from '../../src/sessions/directory.js';
import { killSessions } from '../../src/sessions/kill.js';
import { SessionTables } from '../../src/sessions/tables.js';
import { syncFrame, SYNC_TYPE_RECORDS } from '../../src/sync/frame.js';
import { ipv4ToNumber, macToBuffer, numberToIpv4 } from '../support/bytes.js';
import type { GatewayFixture, RunResult } from '../support/gateway-fixture.js';
import { icmp, ICMP, ipv4, tcp, TCP, udp, type Layer } from '../support/packet.js';
import { Pair } from '../support/pair.js';
import { a1, a2, b1, frameFromVm, fromOutside, nodeA, nodeB, otherServer, server, tenantA, type VirtualMachine } from '../support/world.js';

const pair = Pair.load();
afterAll(() => pair.close());
beforeEach(() => pair.reset());

const ENOENT = -2;
const noRecord = syncRecordCodec.decode(Buffer.alloc(syncRecordCodec.size));

function send(vm: VirtualMachine, destination: string, segment: Layer): void {
  pair.forward(pair.a, 'underlay', frameFromVm(vm, [ipv4({ source: vm.address, destination }), segment]));
}

const query = (sourcePort: number, destinationPort = 53): Layer => udp({ sourcePort, destinationPort });

/** From outside to the mapping of a1's port 5000. */
function answer(source: string): RunResult {
  const { externalAddress, externalPort } = pair.a.mappings()[0]!;
  return pair.a.run('external', fromOutside([ipv4({ source, destination: externalAddress }), udp({ sourcePort: 53, destinationPort: externalPort })]));
}

/** What the control plane does: ends it here, and brings the record to the peer. */
function end(which: { mapping: number; remote: number; remotePort: number }): number {
  const context = Buffer.alloc(sessionEndCodec.size);
  sessionEndCodec.encode({ ...which, record: noRecord }, context);
  const run = pair.a.object.program('session_end').testRun({ context });
  if ((run.returnValue | 0) === 0) tell(run.context.subarray(sessionEndOffsets.record, sessionEndOffsets.record + syncRecordCodec.size));
  return run.returnValue | 0;
}

function tell(record: Buffer): void {
  const path = {
    sourceMac: macToBuffer(nodeA.ha.mac), destinationMac: macToBuffer(nodeB.ha.mac),
    sourceAddress: ipv4ToNumber(nodeA.ha.address), destinationAddress: ipv4ToNumber(nodeB.ha.address),
  };
  const sealed = pair.a.run('seal_xdp', syncFrame(path, SYNC_TYPE_RECORDS, 1, record));
  expect(sealed.verdict).toBe('TX');
  const applied = pair.b.run('ha_xdp', sealed.frame);
  expect(applied).toMatchObject({ verdict: 'TX', counters: { sync_applied: 1 } });
  expect(pair.a.run('ha_xdp', applied.frame).counters).toEqual({ sync_acknowledged: 1 });
}

/** Remotes of all sessions, by where they are. */
function remotes(gateway: GatewayFixture): { first: string[]; beyond: string[] } {
  const first = gateway.mappings().filter((mapping) => mapping.first.state !== 0).map((mapping) => numberToIpv4(mapping.first.remote));
  return { first: first.sort(), beyond: gateway.sessions().map(({ session }) => numberToIpv4(session.remote)).sort() };
}

const indexOf = (gateway: GatewayFixture): number => [...gateway.mappingTable.used()][0]![0];
const remote = (address: string): number => ipv4ToNumber(address);

describe('one session of a mapping', () => {
  beforeEach(() => {
    for (const destination of [server, otherServer, '198.51.100.1']) send(a1, destination, query(5000));
    expect(remotes(pair.b)).toEqual({ first: [server], beyond: ['198.51.100.1', otherServer] });
  });

  it.each([[server, { first: [], beyond: ['198.51.100.1', otherServer] }], [otherServer, { first: [server], beyond: ['198.51.100.1'] }]])('with %s/ends on both gateways, and the others stay', (killed, left) => {
    const ports = pair.a.mappings().map(({ externalPort }) => externalPort);
    expect(answer(killed).counters).toEqual({ inbound_snat: 1 });
    expect(end({ mapping: indexOf(pair.a), remote: remote(killed), remotePort: 0 })).toBe(0);
    for (const gateway of [pair.a, pair.b]) {
      expect(remotes(gateway)).toEqual(left);
      expect(gateway.mappings().map(({ externalPort }) => externalPort)).toEqual(ports);
      expect(gateway.vm(a1)).toMatchObject({ sessions: 2, mappingCount: 1 });
    }
    expect(answer(killed).counters).toEqual({ drop_filtered: 1 });
    expect(answer('198.51.100.1').counters).toEqual({ inbound_snat: 1 });
  });

  it('remote 0/the mapping with all of them, on both gateways', () => {
    const { externalAddress, externalPort } = pair.a.mappings()[0]!;
    expect(end({ mapping: indexOf(pair.a), remote: 0, remotePort: 0 })).toBe(0);
    for (const gateway of [pair.a, pair.b]) {
      expect(gateway.mappings()).toEqual([]);
      pair.walk(gateway, 'age_xdp');
      expect(gateway.sessions()).toEqual([]);
      expect(gateway.vm(a1)).toMatchObject({ sessions: 0, mappingCount: 0 });
    }
    const late = pair.a.run('external', fromOutside([ipv4({ source: server, destination: externalAddress }), udp({ sourcePort: 53, destinationPort: externalPort })]));
    expect(late.counters).toEqual({ drop_no_mapping: 1 });
  });

  it('that is not there/ENOENT, and nothing else ends', () => {
    expect(end({ mapping: indexOf(pair.a), remote: remote('192.0.2.1'), remotePort: 0 })).toBe(ENOENT);
    expect(end({ mapping: indexOf(pair.a), remote: remote(server), remotePort: 53 })).toBe(ENOENT);
    expect(end({ mapping: indexOf(pair.a) + 1, remote: 0, remotePort: 0 })).toBe(ENOENT);
    expect(end({ mapping: 2 ** 32 - 1, remote: 0, remotePort: 0 })).toBe(ENOENT);
    expect(remotes(pair.a).beyond).toHaveLength(2);
  });
});

describe('where a port is shared by several internal ones', () => {
  /** More connections than the one block has ports. */
  beforeEach(() => {
    for (const gateway of [pair.a, pair.b]) gateway.setRouter({ mapping: mappingBehaviour.addressAndPortDependent, vmBlockLimit: 1 }, tenantA);
    for (let n = 0; n < 270; n++) send(a1, `198.51.100.${n % 250 + 1}`, tcp({ sourcePort: 6000 + n, destinationPort: 80, flags: TCP.SYN }));
  });

  it('the session with that remote ends, and not that of the other internal port', () => {
    const [slot] = pair.a.sessions();
    const mapping = slot!.mapping - 1;
    const { first } = pair.a.mappingTable.get(mapping);
    expect(slot!.session.internalPort).not.toBe(first.internalPort);
    const { sessions } = pair.a.vm(a1)!;

    expect(end({ mapping, remote: slot!.session.remote, remotePort: 80 })).toBe(0);
    for (const gateway of [pair.a, pair.b]) {
      expect(gateway.sessions().filter(({ session }) => session.internalPort === slot!.session.internalPort)).toEqual([]);
      expect(gateway.mappingTable.get(mapping)).toMatchObject({ first: { remote: first.remote, internalPort: first.internalPort } });
      expect(gateway.vm(a1)!.sessions).toBe(sessions - 1);
    }
  });
});

it('a port forwarding/ENOENT, and it stays', () => {
  pair.a.addForwarding({ vm: a2, protocol: 'tcp', internalPort: 80, externalPort: 8080 });
  const mapping = indexOf(pair.a);
  expect(end({ mapping, remote: 0, remotePort: 0 })).toBe(ENOENT);
  expect(indexOf(pair.a)).toBe(mapping);
});

describe('killing by a filter, over the tables of the gateway', () => {
  const memory = (gateway: GatewayFixture, name: string): Buffer => gateway.object.map(name).mmap();
  const tables = new SessionTables({ mappings: memory(pair.a, 'mappings'), sessions: memory(pair.a, 'sessions'), vms: memory(pair.a, 'vms') });
  const directory: Directory = {
    place: (vni: number) => ({ router: vni === tenantA.vni ? 'tenant-a' : 'tenant-b', network: 'net', vrid: 51 }),
    isActive: () => true, externalAddress: () => undefined, routers: [], networks: [], tick: 0, peerHolds: 'nothing',
  };

  async function kill(parameters: Record<string, string>): Promise<number> {
    let killed = 0;
    for (let after: string | undefined = 's0'; after !== undefined;) {
      const page: Awaited<ReturnType<typeof killSessions>> = await killSessions(parseQuery(killParameters, { ...parameters, after }), {
        tables, directory, pace: { now: () => 0, breathe: async () => undefined }, end: (which) => end(which) === 0,
      });
      killed += page.killed;
      after = page.next;
    }
    return killed;
  }

  beforeEach(() => {
    for (const destination of [server, otherServer, '198.51.100.1']) send(a1, destination, query(5000));
    send(a1, server, tcp({ sourcePort: 80, destinationPort: 443, flags: TCP.SYN }));
    send(a1, server, icmp({ type: ICMP.echo, identifier: 9 }));
    send(b1, server, query(5000));
  });

  it('of a router/all of its VMs, and nothing of the other\'s', async () => {
    expect(await kill({ router: 'tenant-a' })).toBe(5);
    for (const gateway of [pair.a, pair.b]) {
      expect(gateway.mappings().map(({ vm }) => vm - 1)).toEqual([gateway.vmIndex(b1)]);
      pair.walk(gateway, 'age_xdp');
      expect(gateway.sessions()).toEqual([]);
      expect(gateway.vm(a1)).toMatchObject({ sessions: 0, mappingCount: 0 });
    }
  });

  it('with a remote/of every VM', async () => {
    expect(await kill({ remote: `${server}/32` })).toBe(4);
    for (const gateway of [pair.a, pair.b]) expect(Object.values(remotes(gateway)).flat().sort()).toEqual(['198.51.100.1', otherServer]);
  });
});
