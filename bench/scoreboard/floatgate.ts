// floatgate, configured by the few keys that its README gives; the rest are defaults.
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { LabError } from '../../src/lab/error.js';
import { configurationFile, daemonOf, electionState, gatewayFolder, program, readStatus, startGateway } from '../../src/lab/gateway.js';
import { isSynchronised } from '../../src/lab/lab.js';
import { run, sendSignal } from '../../src/lab/process.js';
import { stateFolder, type LabState } from '../../src/lab/state.js';
import { until } from '../../src/lab/wait.js';
import { externalRouter, externalSubnet, floating, floatingAddress, gateways, sharedAddress, survivor, tenantGateway, tenantSubnet, tunnelVip, victim, vni, vrid, type Gateway } from './cabling.js';
import type { StartOptions, System } from './system.js';

export const floatgate: System = {
  name: 'floatgate',

  async start(state: LabState, { advertisementIntervalMs, signal }: StartOptions): Promise<void> {
    const keyFile = join(stateFolder, 'sync.key');
    writeFileSync(keyFile, randomBytes(16).toString('hex'), { mode: 0o600 });
    for (const gateway of gateways) {
      mkdirSync(gatewayFolder(gateway.node), { recursive: true });
      writeFileSync(configurationFile(gateway.node), stringify(configurationOf(gateway, keyFile, advertisementIntervalMs)));
      startGateway(state, gateway.node);
    }
    await until('gw-a to be Active', async () => electionState(await readStatus(state, victim.node)) === 'active', { signal });
    await until('gw-b to be Backup', async () => electionState(await readStatus(state, survivor.node)) === 'backup', { signal });
    for (const { node } of gateways) {
      await until(`${node} and its peer to hold the same`, async () => isSynchronised(await readStatus(state, node)), { signal });
    }
  },

  /** Strict: whatever has had an answer is there. That the mode holds is asked all the same. */
  async replicated(state: LabState, _sessions: number, signal: AbortSignal): Promise<void> {
    await until('both gateways to hold the same', async () => isSynchronised(await readStatus(state, victim.node)), { signal });
  },

  kill(state: LabState, node: string): void {
    const daemon = daemonOf(state, node);
    if (daemon === undefined) throw new LabError(`the daemon of ${node} does not run`);
    sendSignal(daemon.pid, 'SIGKILL');
  },

  async leave(_state: LabState, node: string): Promise<void> {
    await run(process.execPath, [program, 'drain', '--config', configurationFile(node)]);
  },
};

function configurationOf({ node, id, peerHaAddress, priority }: Gateway, keyFile: string, advertisementIntervalMs: number): object {
  return {
    gateway: { name: node, id },
    interfaces: { underlay: { name: 'underlay0' }, external: { name: 'external0' }, ha: { name: 'ha0' } },
    peer: { address: peerHaAddress },
    sync: { keyFile },
    virtualRouters: [{ vrid, address: tunnelVip, priority, advertisementInterval: `${advertisementIntervalMs}ms` }],
    externalNetworks: [{ name: 'provider', subnet: externalSubnet, gateway: externalRouter }],
    routers: [
      {
        name: 'tenant',
        virtualRouter: vrid,
        externalNetwork: 'provider',
        externalAddress: sharedAddress,
        networks: [{ name: 'net', encapsulation: 'vxlan', vni, subnet: tenantSubnet, gateway: tenantGateway.address, mac: tenantGateway.mac, mtu: 1500 }],
        floatingIps: [{ address: floatingAddress, network: 'net', fixedIp: floating.address }],
      },
    ],
    stateDirectory: join(gatewayFolder(node), 'state'),
  };
}
