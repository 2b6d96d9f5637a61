import { describe, expect, it } from 'vitest';
import { externalKey } from '../../../src/compile/contents.js';
import { segmentOf, tunnelFrame } from '../../../src/dataplane/tunnel.js';
import { tagged } from '../../../src/dataplane/vlan.js';
import { tenantOf } from '../../../src/gateway/tenants.js';

const VIP = 0xc0a82164;
const SNAT = 0x0a0002c9;
const FLOATING = 0x0a0002d7;
const VXLAN_7 = 0x01000007;

const known = {
  maps: {
    virtual_router_by_address: new Map([[VIP, 51]]),
    network_by_vni: new Map([[7, 0], [VXLAN_7, 1]]),
    networks: new Map([[0, { router: 3 }], [1, { router: 4 }]]),
    external_addresses: new Map([[externalKey(0, SNAT), { kind: 0, index: 0, router: 5 }]]),
  },
  floatingIps: new Map([[externalKey(12, FLOATING), { router: 6 }]]),
} as unknown as Parameters<typeof tenantOf>[1];

/** To that address, in a tunnel; what is inside does not matter. */
function frameTo(destination: number, segment: number, vlan = 0): Buffer {
  const macs = { sourceMac: Buffer.alloc(6, 2), destinationMac: Buffer.alloc(6, 4) };
  return tunnelFrame({ ...macs, vlan, source: 1, destination, segment }, Buffer.alloc(60));
}

describe('whose a frame is', () => {
  it.each([
    ["the router's of a Geneve network", frameTo(VIP, 7), 3],
    ["the router's of a VXLAN network with the same number", frameTo(VIP, VXLAN_7), 4],
    ['the same on a tagged underlay', frameTo(VIP, VXLAN_7, 100), 4],
    ["nobody's of a network that is not there", frameTo(VIP, 8), undefined],
    ["the router's whose address it is for, whatever tunnel it claims to be", frameTo(SNAT, 7), 5],
    ["the router's of a floating IP, on its VLAN", frameTo(FLOATING, 7, 12), 6],
    ["nobody's on another VLAN", frameTo(FLOATING, 7), undefined],
    ["nobody's of what is cut off", frameTo(VIP, 7).subarray(0, 45), undefined],
    ["nobody's of no frame", Buffer.alloc(0), undefined],
  ])('%s', (_, frame, router) => {
    expect(tenantOf(frame, known)).toBe(router);
  });

  it('a segment is what the tunnel was made with', () => {
    for (const segment of [0, 1, 0xabcdef, VXLAN_7, 0x01ffffff]) expect(segmentOf(frameTo(VIP, segment))).toBe(segment);
    expect(segmentOf(tagged(Buffer.alloc(60), 3))).toBeUndefined();
  });
});
