import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floatingIpParameters } from '../../../src/api/floating-ip-query.js';
import type { FloatingIpPage } from '../../../src/api/floating-ips.js';
import { parseQuery } from '../../../src/api/query.js';
import type { Ipv4Address } from '../../../src/config/address.js';
import { compareFloatingIps, floatingIpTraffic, listFloatingIps } from '../../../src/sessions/floating-ips.js';
import type { FloatingIp, FloatingIpPorts } from '../../../src/sessions/floating-ips.js';
import type { Vm } from '../../../src/sessions/tables.js';
import { ipv4ToNumber, macToBuffer } from '../../support/bytes.js';
import { pace } from './world.js';

const address = (text: string): Ipv4Address => ipv4ToNumber(text) as Ipv4Address;
const floatingIp = (text: string, router = 'tenant-a', vrid = 51): FloatingIp => ({ address: address(text), router, network: 'a-net', vni: 100, fixedIp: address('172.16.100.11'), vrid });
const heard: Vm = {
  tunnelEndpoint: address('192.168.33.21'), mac: macToBuffer('fa:16:3e:00:00:0b'), floatingIpCounter: 3, lastSeen: 990,
};

function ports(floatingIps: FloatingIp[], vm: Vm | undefined = heard): FloatingIpPorts {
  return {
    floatingIps: floatingIps.sort(compareFloatingIps), vmOf: () => vm, stateOf: (vrid) => (vrid === 51 ? 2 : 1), tick: 1000, pace,
    counts: (index) => (index === 3 ? [1n, 2n].map((n) => ({ inboundPackets: n, inboundBytes: 10n * n, outboundPackets: 100n * n, outboundBytes: 1000n * n })) : []),
  };
}

const list = async (parameters: Record<string, string>, from: FloatingIpPorts): Promise<FloatingIpPage> => listFloatingIps(parseQuery(floatingIpParameters, parameters), from);

describe('floating IPs', () => {
  it('are told with their VM, its compute and the sum of all CPUs', async () => {
    expect(await list({}, ports([floatingIp('10.0.2.215')]))).toEqual({ floatingIps: [{
      address: '10.0.2.215', router: 'tenant-a', network: 'a-net', fixedIp: '172.16.100.11', vrid: 51, state: 'active', answers: true,
      compute: '192.168.33.21', mac: 'fa:16:3e:00:00:0b', idleSeconds: 10.7,
      inbound: { packets: 3, bytes: 30 }, outbound: { packets: 300, bytes: 3000 },
    }] });
  });

  it('where the gateway is Backup/do not answer', async () => {
    expect((await list({}, ports([floatingIp('10.0.2.216', 'tenant-b', 52)]))).floatingIps[0]).toMatchObject({ state: 'backup', answers: false });
  });

  it('whose VM was never heard/have no compute', async () => {
    const [told] = (await list({}, ports([floatingIp('10.0.2.215')], { ...heard, tunnelEndpoint: 0 as Ipv4Address, floatingIpCounter: 0 }))).floatingIps;
    expect(told).not.toHaveProperty('compute');
    expect(told).toMatchObject({ inbound: { packets: 0, bytes: 0 } });
  });

  it('of a router, or one address', async () => {
    const some = ports([floatingIp('10.0.2.215'), floatingIp('10.0.2.216', 'tenant-b'), floatingIp('10.0.2.217')]);
    expect((await list({ router: 'tenant-a' }, some)).floatingIps.map((each) => each.address)).toEqual(['10.0.2.215', '10.0.2.217']);
    expect((await list({ address: '10.0.2.216' }, some)).floatingIps.map(({ router }) => router)).toEqual(['tenant-b']);
  });

  it('pages of any size/are the whole, also where an address is in two VLANs', async () => {
    const one = fc.record({ last: fc.integer({ min: 1, max: 30 }), router: fc.constantFrom('a', 'b', 'c') });
    await fc.assert(fc.asyncProperty(fc.uniqueArray(one, { selector: ({ last, router }) => `${last}${router}` }), fc.integer({ min: 1, max: 7 }), async (some, limit) => {
      const from = ports(some.map(({ last, router }) => floatingIp(`10.0.2.${last}`, router)));
      const seen: string[] = [];
      for (let after: string | undefined, end = false; !end; ) {
        const page: FloatingIpPage = await list({ limit: String(limit), ...(after !== undefined && { after }) }, from);
        seen.push(...page.floatingIps.map((each) => `${each.address}/${each.router}`));
        after = page.next;
        end = after === undefined;
      }
      expect(seen).toEqual((await list({}, from)).floatingIps.map((each) => `${each.address}/${each.router}`));
    }));
  });

  it('of all/their traffic, and the event loop turns on the way', async () => {
    let turns = 0;
    const many = Array.from({ length: 200 }, (_, i) => floatingIp(`10.0.2.${i}`));
    const traffic = await floatingIpTraffic({ ...ports(many), pace: { ...pace, breathe: async () => void turns++ } });
    expect(traffic).toHaveLength(200);
    expect(traffic[7]).toEqual({ address: '10.0.2.7', router: 'tenant-a', inbound: { packets: 3, bytes: 30 }, outbound: { packets: 300, bytes: 3000 } });
    expect(turns).toBe(3);
  });
});
