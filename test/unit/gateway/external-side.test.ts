import { describe, expect, it } from 'vitest';
import { askerFor } from '../../../src/gateway/arp-questions.js';
import { externalAddressesOf, externalSide } from '../../../src/gateway/external-side.js';
import { arpRequest } from '../../../src/dataplane/arp.js';
import { ethernetOf } from '../../../src/dataplane/vlan.js';
import { exampleWith } from '../config/example.js';
import { ip, parse } from '../compile/states.js';

/** Tenant B on a VLAN, with the address that tenant A has without one. */
const configuration = parse(
  exampleWith('gateway: 10.0.2.1 }', 'gateway: 10.0.2.1 }\n  - { name: other, vlan: 12, subnet: 10.0.2.0/24, subnets: [ 198.51.100.0/24 ], gateway: 10.0.2.1 }')
    .replace('externalNetwork: provider\n    externalAddress: 10.0.2.202', 'externalNetwork: other\n    externalAddress: 10.0.2.201'),
);

describe('the external side', () => {
  it('has the first address of every VLAN first, and each address once with all of its VLANs', () => {
    expect([...externalAddressesOf(configuration, 51)]).toEqual([
      [ip('10.0.2.201'), [12, 0]],
      [ip('10.0.2.215'), [0]],
      [ip('10.0.2.216'), [12]],
    ]);
    expect(externalAddressesOf(configuration, 52).size).toBe(0);
  });

  it('announces on every VLAN that the address is on, and nothing else', () => {
    const sent: Buffer[] = [];
    const side = externalSide({ send: (frame) => void sent.push(frame) }, () => externalAddressesOf(configuration, 51));
    const announce = (address: string): number[] => {
      side.sender.send(arpRequest({ senderMac: Buffer.alloc(6, 2), sender: ip(address), target: ip(address) }));
      return sent.splice(0).map((frame) => ethernetOf(frame)!.vlan);
    };
    const { addresses } = side;
    expect([...addresses()]).toHaveLength(3);
    expect(announce('10.0.2.201').sort()).toEqual([0, 12]);
    expect(announce('10.0.2.216')).toEqual([12]);
    expect(announce('10.0.2.1')).toEqual([]);
  });
});

describe('who asks for a neighbour on a VLAN', () => {
  const gateway = { role: 1, vlan: 12, address: ip('10.0.2.1') };

  it('an address of ours there, with the virtual MAC, while it is Active here', () => {
    expect(askerFor(gateway, configuration, () => true)).toEqual({ sender: ip('10.0.2.201'), senderMac: Buffer.from('00005e000133', 'hex') });
    expect(askerFor(gateway, configuration, (vrid) => vrid !== 51)).toBeUndefined();
  });

  it('nobody in a subnet that we have no address in, or on another VLAN', () => {
    expect(askerFor({ ...gateway, address: ip('198.51.100.7') }, configuration, () => true)).toBeUndefined();
    expect(askerFor({ ...gateway, vlan: 13 }, configuration, () => true)).toBeUndefined();
  });
});
