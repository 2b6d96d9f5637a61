import { describe, expect, it } from 'vitest';
import { formatIpv4 } from '../../../src/config/address.js';
import { parseConfiguration } from '../../../src/config/configuration.js';
import type { Configuration } from '../../../src/config/schema.js';
import { placesOf } from '../../../src/gateway/places.js';
import { example, exampleWith } from '../config/example.js';

function configuration(text: string): Configuration {
  const result = parseConfiguration(text, 'gw.yaml');
  if (result.errors !== undefined) throw new Error(result.errors[0]!.message);
  return result.configuration;
}

describe('places', () => {
  it('networks/by their VNI, with router and virtual router', () => {
    const { byVni, routers, networks } = placesOf(configuration(example));
    expect([...byVni]).toEqual([
      [100, { router: 'tenant-a', network: 'a-net', vrid: 51 }],
      [101, { router: 'tenant-a', network: 'a-back', vrid: 51 }],
      [200, { router: 'tenant-b', network: 'b-net', vrid: 51 }],
    ]);
    expect({ routers, networks }).toEqual({ routers: ['tenant-a', 'tenant-b'], networks: ['a-net', 'a-back', 'b-net'] });
  });

  it('of VXLAN/in their own space of VNIs', () => {
    const { byVni } = placesOf(configuration(exampleWith('name: b-net, vni: 200,', 'name: b-net, vni: 100, encapsulation: vxlan,')));
    expect(byVni.get(100)).toMatchObject({ network: 'a-net' });
    expect(byVni.get(0x1000064)).toMatchObject({ network: 'b-net' });
  });

  it('floating IPs/in the order of their addresses, whatever the file\'s', () => {
    const { floatingIps } = placesOf(configuration(exampleWith('10.0.2.216', '10.0.2.99')));
    expect(floatingIps.map(({ address, router, vni }) => [formatIpv4(address), router, vni])).toEqual([['10.0.2.99', 'tenant-b', 200], ['10.0.2.215', 'tenant-a', 100]]);
  });

  it('the same configuration/worked out once', () => {
    const one = configuration(example);
    expect(placesOf(one)).toBe(placesOf(one));
  });
});
