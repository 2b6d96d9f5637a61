/** Cuts between the gateways of the lab that leave every carrier as it is: nothing but silence tells of them. */
import { run } from '../../src/lab/process.js';
import { namespaceOf } from '../../src/lab/topology.js';

const ports = ['gw-a', 'gw-b'] as const;

/** Whether the underlay's switch forwards between the gateways; what others send to either is not concerned. */
export async function setUnderlayBetween(state: 'cut' | 'whole'): Promise<void> {
  for (const port of ports) await run('bridge', ['-n', namespaceOf('underlay'), 'link', 'set', 'dev', port, 'isolated', state === 'cut' ? 'on' : 'off']);
}

/** Whether a switch forwards anything from and to a gateway's port. */
export async function setPort(side: 'underlay' | 'external', gateway: (typeof ports)[number], state: 'cut' | 'whole'): Promise<void> {
  // IEEE 802.1D: disabled, forwarding.
  await run('bridge', ['-n', namespaceOf(side), 'link', 'set', 'dev', gateway, 'state', state === 'cut' ? '0' : '3']);
}
