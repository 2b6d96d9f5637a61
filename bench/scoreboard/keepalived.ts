// keepalived, conntrackd and nftables as their own documentation puts them together: FT-FW over a dedicated link, the
// primary-backup script at every transition, and what an administrator who reads on adds: tunnels that are not tracked,
// no TCP session from the middle, no answer to what has no session, and the VMs' places known beforehand.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from '../../src/lab/error.js';
import { batch } from '../../src/lab/network.js';
import { runIn, sendSignal, startDaemon, stop } from '../../src/lab/process.js';
import { stateFolder, type LabState, type ProcessRecord } from '../../src/lab/state.js';
import { until } from '../../src/lab/wait.js';
import { computes, floating, floatingAddress, gateways, machines, sharedAddress, survivor, tenantGateway, tenantSubnet, tunnelVip, victim, vni, vrid, type Gateway } from './cabling.js';
import type { StartOptions, System } from './system.js';

/** Where the Backup's conntrackd keeps what it hears: until it is committed in its own memory, or at once in the kernel's table. */
type Cache = 'external' | 'direct';

const fileOf = (node: string, name: string): string => join(stateFolder, node, name);
const conntrackdFile = (node: string): string => fileOf(node, 'conntrackd.conf');

export function keepalived(cache: Cache): System {
  return {
    name: cache === 'external' ? 'keepalived' : 'keepalived-direct',

    async start(state: LabState, { advertisementIntervalMs, signal }: StartOptions): Promise<void> {
      for (const gateway of gateways) await prepareKernel(gateway);
      for (const gateway of gateways) startConntrackd(state, gateway, cache);
      for (const { node } of gateways) await until(`conntrackd of ${node} to answer`, () => asked(node, '-s'), { signal });
      for (const gateway of gateways) startKeepalived(state, gateway, cache, advertisementIntervalMs);
      await until('gw-a to have committed', () => existsSync(fileOf(victim.node, 'primary')), { signal });
      await until('gw-b to have become Backup', () => existsSync(fileOf(survivor.node, 'backup')), { signal });
    },

    async replicated(_state: LabState, sessions: number, signal: AbortSignal): Promise<void> {
      await until(`gw-b to hold ${sessions} sessions`, async () => (await heldBy(survivor.node, cache)) >= sessions, { signal, deadlineMs: 60_000 });
    },

    kill(state: LabState, node: string): void {
      for (const record of daemonsOf(state, node)) {
        // keepalived's parent must not start its child again, nor the child say goodbye.
        sendSignal(record.pid, 'SIGSTOP');
        for (const pid of [...childrenOf(record.pid), record.pid]) sendSignal(pid, 'SIGKILL');
      }
    },

    async leave(state: LabState, node: string): Promise<void> {
      const record = state.processes.find(({ name }) => name === `${node}-keepalived`);
      if (record === undefined) throw new LabError(`keepalived of ${node} does not run`);
      await stop(record);
    },
  };
}

function daemonsOf(state: LabState, node: string): ProcessRecord[] {
  const records = state.processes.filter(({ name }) => name === `${node}-keepalived` || name === `${node}-conntrackd`);
  if (records.length !== 2) throw new LabError(`keepalived and conntrackd of ${node} do not run`);
  return records;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((word) => word !== '').map(Number);
}

function asked(node: string, ...words: string[]): Promise<string> {
  return runIn(node, ['conntrackd', '-C', conntrackdFile(node), ...words]);
}

async function heldBy(node: string, cache: Cache): Promise<number> {
  if (cache === 'direct') return Number(await runIn(node, ['conntrack', '-C']));
  const statistics = await asked(node, '-s');
  return Number(/cache external:\s+current active connections:\s+(\d+)/.exec(statistics)?.[1] ?? 0);
}

/** Where VMs are is written down on both gateways, as Neutron's l2population does: a new Active has nobody to ask. */
async function prepareKernel({ node }: Gateway): Promise<void> {
  mkdirSync(join(stateFolder, node), { recursive: true });
  await runIn(node, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  await batch(
    [
      `link add vxlan${vni} address ${tenantGateway.mac} type vxlan id ${vni} local ${tunnelVip} dstport 4789 nolearning`,
      `address add ${tenantGateway.address}/24 dev vxlan${vni}`,
      `link set vxlan${vni} up`,
      ...machines.flatMap(({ address, furtherAddresses, mac }) => [address, ...furtherAddresses].map((each) => `neighbour add ${each} lladdr ${mac} dev vxlan${vni} nud permanent`)),
    ],
    node,
  );
  const places = machines.map(({ mac, compute }) => `fdb append ${mac} dev vxlan${vni} dst ${computes.find((candidate) => candidate.node === compute)?.tunnelAddress}`);
  await runIn(node, ['bridge', '-batch', '-'], { input: `${places.join('\n')}\n` });
  await runIn(node, ['nft', '-f', '-'], { input: rules });
}

const rules = `
table ip raw {
  chain prerouting { type filter hook prerouting priority raw; iifname { "underlay0", "ha0" } notrack; }
  chain output { type filter hook output priority raw; oifname { "underlay0", "ha0" } notrack; }
}
table ip nat {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    iifname "external0" ip daddr ${floatingAddress} dnat to ${floating.address}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "external0" ip saddr ${floating.address} snat to ${floatingAddress}
    oifname "external0" ip saddr ${tenantSubnet} snat to ${sharedAddress}
  }
}
table ip filter {
  chain input {
    type filter hook input priority filter;
    iifname "external0" ip protocol { tcp, udp } ct state { new, invalid } drop
  }
  chain forward {
    type filter hook forward priority filter;
    ct state invalid drop
    ct state new tcp flags & (fin | syn | rst | ack) != syn drop
  }
}
`;

function startConntrackd(state: LabState, gateway: Gateway, cache: Cache): void {
  const { node } = gateway;
  writeFileSync(conntrackdFile(node), conntrackdConfiguration(gateway, cache));
  startDaemon(state, { name: `${node}-conntrackd`, node, command: ['conntrackd', '-C', conntrackdFile(node)], alone: true });
}

/** doc/sync/ftfw, with UDP and ICMP as well, filtered in the kernel. */
function conntrackdConfiguration({ node, underlayAddress, externalAddress, haAddress, peerHaAddress }: Gateway, cache: Cache): string {
  return `Sync {
  Mode FTFW {
    DisableExternalCache ${cache === 'direct' ? 'On' : 'Off'}
  }
  UDP {
    IPv4_address ${haAddress}
    IPv4_Destination_Address ${peerHaAddress}
    Port 3780
    Interface ha0
    SndSocketBuffer 1249280
    RcvSocketBuffer 1249280
    Checksum on
  }
}
General {
  Systemd off
  HashSize 65536
  HashLimit 524288
  LogFile ${fileOf(node, 'conntrackd.log')}
  LockFile ${fileOf(node, 'conntrackd.lock')}
  UNIX {
    Path ${fileOf(node, 'conntrackd.ctl')}
  }
  NetlinkBufferSize 2097152
  NetlinkBufferSizeMaxGrowth 8388608
  Filter From Kernelspace {
    Protocol Accept {
      TCP
      UDP
      ICMP
    }
    Address Ignore {
      IPv4_address 127.0.0.1
      IPv4_address ${underlayAddress}
      IPv4_address ${externalAddress}
      IPv4_address ${haAddress}
      IPv4_address ${tunnelVip}
    }
  }
}
`;
}

function startKeepalived(state: LabState, gateway: Gateway, cache: Cache, advertisementIntervalMs: number): void {
  const { node } = gateway;
  const script = fileOf(node, 'transition.sh');
  writeFileSync(script, transitionScript(node, cache));
  chmodSync(script, 0o700);
  writeFileSync(fileOf(node, 'keepalived.conf'), keepalivedConfiguration(gateway, script, advertisementIntervalMs));
  const files = ['--use-file', fileOf(node, 'keepalived.conf'), '--pid', fileOf(node, 'keepalived.pid'), '--vrrp_pid', fileOf(node, 'vrrp.pid')];
  startDaemon(state, { name: `${node}-keepalived`, node, command: ['keepalived', '--vrrp', '--dont-fork', '--log-console', '--no-syslog', ...files], alone: true });
}

function keepalivedConfiguration({ node, priority }: Gateway, script: string, advertisementIntervalMs: number): string {
  return `global_defs {
  router_id ${node}
  vrrp_version 3
  script_user root
}
vrrp_instance gateway {
  state BACKUP
  interface underlay0
  track_interface { external0 }
  virtual_router_id ${vrid}
  priority ${priority}
  advert_int ${advertisementIntervalMs / 1000}
  virtual_ipaddress { ${tunnelVip}/24 dev underlay0 }
  virtual_ipaddress_excluded {
    ${sharedAddress}/32 dev external0
    ${floatingAddress}/32 dev external0
  }
  notify_master "${script} primary"
  notify_backup "${script} backup"
  notify_fault "${script} fault"
}
`;
}

/**
 * What doc/sync/primary-backup.sh asks of conntrackd, and in its order. With direct injection there is nothing to commit,
 * and nothing may be flushed: what the Backup has in its table is what it has been told.
 */
const requests: Readonly<Record<Cache, Readonly<Record<'primary' | 'backup' | 'fault', readonly string[]>>>> = {
  external: { primary: ['-c', '-f', '-R', '-B'], backup: ['-t', '-n'], fault: ['-t'] },
  direct: { primary: ['-R', '-B'], backup: ['-n'], fault: [] },
};

function transitionScript(node: string, cache: Cache): string {
  const cases = Object.entries(requests[cache]).map(([state, words]) => `  ${state}) ${words.map((word) => `ask ${word}; `).join('')}touch ${fileOf(node, state)} ;;`);
  return `#!/bin/sh
ask() { conntrackd -C ${conntrackdFile(node)} "$1"; }
case "$1" in
${cases.join('\n')}
esac
`;
}
