/** The crowd in the gateways' configuration. */
import type { Document } from 'yaml';
import { vrid } from '../../src/lab/topology.js';
import { listAt, mapAt } from '../../test/support/running-lab.js';
import { FIRST_VNI, GATEWAY_MAC, ROUTERS } from './crowd.js';

const ADDRESSES_PER_ROUTER = 64;
/** 10.0.4.0 and on: a subnet of the external link. */
const FIRST_EXTERNAL = 0x0a000400;
export const EXTERNAL_SUBNET = '10.0.4.0/24';

const dotted = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');

/** Routers for all of them, and tables with room. */
export function addCrowd(configuration: Document): void {
  listAt(configuration, 'externalNetworks', 0, 'subnets').add(EXTERNAL_SUBNET);
  configuration.set('limits', { externalAddresses: 256 });
  for (let router = 0; router < ROUTERS; router++) {
    const first = FIRST_EXTERNAL + 1 + router * ADDRESSES_PER_ROUTER;
    listAt(configuration, 'routers').add(configuration.createNode({
      name: `crowd-${router}`, virtualRouter: vrid, externalNetwork: mapAt(configuration, 'externalNetworks', 0).get('name'),
      externalAddresses: [`${dotted(first)}-${dotted(first + ADDRESSES_PER_ROUTER - 1)}`],
      networks: [{ name: 'crowd', vni: FIRST_VNI + router, subnet: '172.20.0.0/16', gateway: '172.20.0.1', mac: GATEWAY_MAC.match(/../g)!.join(':') }],
    }));
  }
}
