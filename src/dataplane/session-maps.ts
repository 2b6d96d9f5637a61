/** What is read to answer questions about sessions and floating IPs. */
import { PerCpuMap, TypedMap, u32 } from 'libbpf-ts';
import type { BpfMap } from 'libbpf-ts';
import { floatingIpCounterCodec, snatAddressCodec, vmKeyCodec } from './layout.generated.js';
import type { FloatingIpCounter, VmKey } from './layout.generated.js';

export class SessionMaps {
  /** Shared with the programs, which go on writing. */
  readonly memory: { readonly mappings: Buffer; readonly sessions: Buffer; readonly vms: Buffer };
  readonly #vmByAddress: TypedMap<VmKey, number>;
  readonly #snatAddresses: TypedMap<number, { address: number }>;
  readonly #floatingIpCounters: PerCpuMap<number, FloatingIpCounter>;

  constructor(map: (name: string) => BpfMap) {
    this.memory = { mappings: map('mappings').mmap(), sessions: map('sessions').mmap(), vms: map('vms').mmap() };
    this.#vmByAddress = new TypedMap(map('vm_by_address'), vmKeyCodec, u32);
    this.#snatAddresses = new TypedMap(map('snat_addresses'), u32, snatAddressCodec);
    this.#floatingIpCounters = new PerCpuMap(map('floating_ip_counters'), u32, floatingIpCounterCodec);
  }

  vmIndex(key: VmKey): number | undefined {
    return this.#vmByAddress.get(key);
  }

  /** By index into snat_addresses; 0: unused. */
  snatAddresses(): number[] {
    return [...this.#snatAddresses.entries()].map(([, { address }]) => address);
  }

  /** By CPU. */
  floatingIpCounts(index: number): FloatingIpCounter[] {
    return this.#floatingIpCounters.get(index);
  }
}
