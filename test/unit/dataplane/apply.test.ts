import { SystemError } from 'libbpf-ts';
import { describe, expect, it } from 'vitest';
import { applyChange } from '../../../src/dataplane/apply.js';
import type { ApplyTargets } from '../../../src/dataplane/apply.js';
import type { Change } from '../../../src/compile/plan.js';
import { ip } from '../compile/states.js';

/** Targets whose vm_ensure answers with this result and counts its runs. */
function targetsAnswering(result: number): { targets: ApplyTargets; runs: () => number } {
  let runs = 0;
  const runSystemCall = (_: 'vm_ensure', context: Buffer) => {
    runs++;
    return { result, context };
  };
  return { targets: { runSystemCall } as unknown as ApplyTargets, runs: () => runs };
}

const clear: Change = { operation: 'clearFloatingIp', vni: 100, fixedIp: ip('172.16.100.11') };
const bind: Change = { operation: 'bindFloatingIp', address: ip('10.0.2.215'), vni: 100, fixedIp: ip('172.16.100.11'), router: 0 };

describe('apply/floating IP of a VNI that is gone', () => {
  const enoent = -2;
  const enospc = -28;

  it('cleared/an earlier daemon has done it', () => {
    const { targets, runs } = targetsAnswering(enoent);
    applyChange(clear, targets);
    applyChange(clear, targets);
    expect(runs()).toBe(2);
  });

  it('bound/refused', () => {
    expect(() => applyChange(bind, targetsAnswering(enoent).targets)).toThrow(/^bindFloatingIp failed: .*ENOENT/);
  });

  it('cleared, but no VM slot is left/refused', () => {
    expect(() => applyChange(clear, targetsAnswering(enospc).targets)).toThrow(/limits\.vms VMs are known/);
  });

  it('errno/is the one that vm_ensure returns', () => {
    expect(new SystemError('vm_ensure', 2).code).toBe('ENOENT');
  });
});
