import { describe, expect, it } from 'vitest';
import { applyChange } from '../../../src/dataplane/apply.js';
import type { ApplyTargets } from '../../../src/dataplane/apply.js';
import type { Change } from '../../../src/compile/plan.js';
import { forwardingEnsureCodec, vmEnsureCodec } from '../../../src/dataplane/layout.generated.js';
import { ip } from '../compile/states.js';

const ENOENT = -2;
const EAGAIN = -11;
const EBUSY = -16;
const ENOSPC = -28;

/** Targets whose programs answer with these results, one after the other, and that write down what is done to them. */
function targetsAnswering(results: readonly number[], known: number | undefined = 7) {
  const did: string[] = [];
  const rest = [...results];
  const runSystemCall = (program: string, context: Buffer) => {
    const said = program === 'vm_ensure' ? vmEnsureCodec.decode(context).floatingIp : forwardingEnsureCodec.decode(context).mapping;
    did.push(`${program} ${said}`);
    return { result: rest.shift() ?? 0, context };
  };
  const forwardings = { set: (key: { vm: number }) => void did.push(`way back of ${key.vm}`), delete: (key: { vm: number }) => did.push(`no way back of ${key.vm}`) > 0 };
  const externalAddresses = { set: (key: { vlan: number }, value: { index: number }) => void did.push(`way in on ${key.vlan} to ${value.index}`) };
  const maps = { vmByAddress: { get: () => known }, forwardings, externalAddresses };
  return { targets: { runSystemCall, maps } as unknown as ApplyTargets, did };
}

const apply = (change: Change, targets: ApplyTargets): void => void [...applyChange(change, targets)];

const vm = { segment: 100, address: ip('172.16.100.11'), floatingIp: ip('10.0.2.215'), floatingIpCounter: 1, flags: 0, tunnelEndpoint: 0, mac: Buffer.alloc(6) };
const ensure: Change = { operation: 'ensureVm', ...vm };
const clear: Change = { operation: 'clearVm', segment: 100, address: ip('172.16.100.11') };
const forwarding = { mapping: 80, address: ip('10.0.2.201'), port: 80, protocol: 0, segment: 100, fixedIp: ip('172.16.100.11'), fixedPort: 8080 };

describe('apply/a VM', () => {
  it('ensured/all that is said, once', () => {
    const { targets, did } = targetsAnswering([0]);
    apply(ensure, targets);
    expect(did).toEqual([`vm_ensure ${vm.floatingIp}`]);
  });

  it('forgotten in this very moment/ensured again', () => {
    const { targets, did } = targetsAnswering([EAGAIN, EAGAIN, 0]);
    apply(ensure, targets);
    expect(did).toHaveLength(3);
    expect(() => apply(ensure, targetsAnswering([EAGAIN, EAGAIN, EAGAIN]).targets)).toThrow(/^ensureVm failed: .*EAGAIN/);
  });

  it('of a VNI that is gone/cleared: an earlier daemon has done it; ensured: refused', () => {
    const { targets, did } = targetsAnswering([ENOENT, ENOENT]);
    apply(clear, targets);
    apply(clear, targets);
    expect(did).toEqual(['vm_ensure 0', 'vm_ensure 0']);
    expect(() => apply(ensure, targetsAnswering([ENOENT]).targets)).toThrow(/^ensureVm failed: .*ENOENT/);
  });

  it('that nobody knows/need not be cleared', () => {
    const { targets, did } = targetsAnswering([], undefined);
    targets.maps.vmByAddress.get = () => undefined;
    apply(clear, targets);
    expect(did).toEqual([]);
  });

  it('for which no slot is left/refused, ensured or cleared', () => {
    for (const change of [ensure, clear]) expect(() => apply(change, targetsAnswering([ENOSPC]).targets)).toThrow(/limits\.vms VMs are known/);
  });

  it('floating IP/leads to its slot, on its VLAN', () => {
    const { targets, did } = targetsAnswering([]);
    apply({ operation: 'bindFloatingIp', address: ip('10.0.2.215'), vlan: 12, segment: 100, fixedIp: vm.address, router: 0 }, targets);
    expect(did).toEqual(['way in on 12 to 7']);
  });
});

describe('apply/a port forwarding', () => {
  it('bound/the way back before the way in', () => {
    const { targets, did } = targetsAnswering([0]);
    apply({ operation: 'bindForwarding', ...forwarding }, targets);
    expect(did).toEqual(['way back of 7', 'forwarding_ensure 80']);
  });

  it('unbound/the way in before the way back; twice is no mistake', () => {
    const { targets, did } = targetsAnswering([0, ENOENT]);
    apply({ operation: 'unbindForwarding', ...forwarding }, targets);
    apply({ operation: 'unbindForwarding', ...forwarding }, targets);
    expect(did).toEqual(['forwarding_remove 80', 'no way back of 7', 'forwarding_remove 80', 'no way back of 7']);
  });

  it('refused/says why', () => {
    expect(() => apply({ operation: 'bindForwarding', ...forwarding }, targetsAnswering([EBUSY]).targets)).toThrow(/^bindForwarding failed: .*EBUSY.*given away/);
  });
});
