/** Programs that speak VRRP, each in a namespace of its own: our election, keepalived 2.2.7 and FRR's vrrpd 8.4.4 of Debian. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VirtualRouterOptions } from '../../src/vrrp/options.js';
import { INTERFACE, Talker, type Host } from './two-hosts.js';

export const VRID = 51;
export const VIRTUAL_ADDRESS = '10.9.0.100';
const MACVLAN = 'vrrp4-51';

/** Both routers before everything else on the machine: an Active that gets no processor is succeeded, and rightly so. */
export const AT_ONCE = ['chrt', '--rr', '1'];

/** Runs a command on a host. */
export function onHost(host: Host, ...command: string[]): void {
  const [program, ...args] = host.within(command);
  execFileSync(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

export interface Told {
  readonly type: string;
  readonly role?: string;
  readonly reason?: string;
  readonly to?: string;
  readonly atNs: string;
  readonly heard?: { readonly atNs: string; readonly priority: number };
  readonly lastAdvertisement?: { readonly atNs: string };
  readonly counters?: { readonly advertisementsReceived: number; readonly checksumForms: Record<string, number>; readonly invalid: Record<string, number> };
}

/** Our election, in its own process. Answers no ARP: that is the programs' part, in the kernel. */
export class Ours {
  readonly #talker: Talker;

  constructor(host: Host, options: Partial<VirtualRouterOptions>) {
    const all = { vrid: VRID, addresses: [VIRTUAL_ADDRESS], primaryAddress: host.address, advertisementIntervalUs: 100_000, ...options };
    const script = fileURLToPath(new URL('./election-process.mjs', import.meta.url));
    this.#talker = new Talker(host.within([...AT_ONCE, process.execPath, script, JSON.stringify({ interface: INTERFACE, options: all })]));
  }

  /** How many lines there are: only what comes after counts for the next wait. */
  get mark(): number {
    return this.#talker.lines.length;
  }

  say(command: 'shutdown' | 'drain' | 'undrain' | 'status'): void {
    this.#talker.say(command);
  }

  reconfigure(change: Partial<VirtualRouterOptions>): void {
    this.#talker.say(`reconfigure ${JSON.stringify(change)}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#talker.signal(signal);
  }

  told(fields: Partial<Told>, from = 0): Promise<Told> {
    const wanted = Object.entries(fields);
    return this.#talker.find(JSON.stringify(fields), (line) => {
      // Anything that is not JSON is a stack trace: it will be shown when the wait fails.
      if (!line.startsWith('{')) return undefined;
      const told = JSON.parse(line) as Told;
      return wanted.every(([key, value]) => told[key as keyof Told] === value) ? told : undefined;
    }, from);
  }

  async status(): Promise<Told> {
    const { mark } = this;
    this.say('status');
    return this.told({ type: 'status' }, mark);
  }

  /** All roles told so far. */
  roles(from = 0): string[] {
    const told = this.#talker.lines.slice(from).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Told);
    return told.flatMap(({ type, role }) => (type === 'role' && role !== undefined ? [role] : []));
  }

  end(): Promise<void> {
    return this.#talker.end('SIGKILL');
  }
}

/** Somebody else's program. */
export interface Peer {
  readonly lines: readonly string[];
  /** Listening as Backup, by its own account. */
  listening(): Promise<unknown>;
  /** As a machine that loses power: nobody says goodbye, and nothing answers for the virtual address any more. */
  crash(): void;
  /** Says goodbye with priority 0. */
  stop(): Promise<void>;
  setPriority(priority: number): void;
  end(): Promise<void>;
}

export interface KeepalivedOptions {
  readonly priority: number;
  /** Default 0.1. */
  readonly intervalS?: number;
  /** Further lines of the vrrp_instance. */
  readonly instance?: string;
  /** Says nothing: who writes a line about everything that it refuses is silenced by whoever does not read fast enough. */
  readonly quiet?: boolean;
}

/** VRRP only, all its files in a folder of its own. */
export class Keepalived implements Peer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'vrrp-interop-'));
  readonly #host: Host;
  readonly #options: KeepalivedOptions;
  readonly #talker: Talker;

  constructor(host: Host, options: KeepalivedOptions) {
    this.#host = host;
    this.#options = options;
    this.#configure(options.priority);
    this.#talker = new Talker(host.within([
      ...AT_ONCE, 'keepalived', '--vrrp', '--dont-fork', '--no-syslog', ...(options.quiet === true ? [] : ['--log-console', '--log-detail']),
      '--use-file', this.#file('keepalived.conf'), '--pid', this.#file('pid'), '--vrrp_pid', this.#file('vrrp.pid'),
    ]));
  }

  get mark(): number {
    return this.#talker.lines.length;
  }

  /** When keepalived's log says that it entered a state; the time is ours, when the line is read. */
  entered(state: 'MASTER' | 'BACKUP', from = 0): Promise<bigint> {
    return this.#talker.find(`keepalived to enter ${state}`, (line) => (line.includes(`Entering ${state} STATE`) ? process.hrtime.bigint() : undefined), from);
  }

  listening(): Promise<unknown> {
    return this.entered('BACKUP');
  }

  said(text: string): Promise<string> {
    return this.#talker.find(`keepalived to say "${text}"`, (line) => (line.includes(text) ? line : undefined));
  }

  get lines(): readonly string[] {
    return this.#talker.lines;
  }

  setPriority(priority: number): void {
    this.#configure(priority);
    this.#talker.signal('SIGHUP');
  }

  crash(): void {
    const { pid } = this.#talker;
    // The parent may not restart its child, nor the child say goodbye.
    process.kill(pid, 'SIGSTOP');
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    for (const child of [...children.map(Number), pid]) process.kill(child, 'SIGKILL');
    if (this.#options.instance?.includes('use_vmac')) onHost(this.#host, 'ip', 'link', 'delete', 'vrrp.51');
    else onHost(this.#host, 'ip', 'address', 'flush', 'dev', INTERFACE, 'to', VIRTUAL_ADDRESS);
  }

  stop(): Promise<void> {
    return this.#talker.end('SIGTERM');
  }

  async end(): Promise<void> {
    await this.#talker.end('SIGTERM');
    rmSync(this.#folder, { recursive: true });
  }

  #configure(priority: number): void {
    const { intervalS = 0.1, instance = '' } = this.#options;
    writeFileSync(this.#file('keepalived.conf'), `
      global_defs { router_id interop
                    vrrp_version 3 }
      vrrp_instance V { state BACKUP
                        interface ${INTERFACE}
                        virtual_router_id ${VRID}
                        priority ${priority}
                        advert_int ${intervalS}
                        ${instance}
                        virtual_ipaddress { ${VIRTUAL_ADDRESS}/24 } }`);
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}

export interface FrrOptions {
  readonly priority: number;
  readonly version: 2 | 3;
  readonly intervalMs: number;
}

/** zebra and vrrpd, and the device with the virtual MAC that they want to find. */
export class Frr implements Peer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'vrrp-interop-'));
  readonly #host: Host;
  readonly #zebra: Talker;
  #vrrpd: Talker | undefined;

  private constructor(host: Host, { priority, version, intervalMs }: FrrOptions) {
    this.#host = host;
    // The daemons give up root, and write their sockets as somebody else.
    chmodSync(this.#folder, 0o777);
    writeFileSync(this.#file('zebra.conf'), 'hostname r\n');
    writeFileSync(this.#file('vrrpd.conf'), [
      `interface ${INTERFACE}`, ` vrrp ${VRID} version ${version}`, ` vrrp ${VRID} priority ${priority}`,
      ` vrrp ${VRID} advertisement-interval ${intervalMs}`, ` vrrp ${VRID} ip ${VIRTUAL_ADDRESS}`, '',
    ].join('\n'));
    const [program, ...args] = host.within(['ip', '-batch', '-']);
    execFileSync(program!, args, {
      input: [
        `link add ${MACVLAN} link ${INTERFACE} type macvlan mode bridge`,
        `link set ${MACVLAN} address 00:00:5e:00:01:${VRID.toString(16)} addrgenmode none`,
        `address add ${VIRTUAL_ADDRESS}/24 dev ${MACVLAN}`, `link set ${MACVLAN} up`, '',
      ].join('\n'),
    });
    // Or the kernel answers for the virtual address on every other interface, with that one's own MAC.
    onHost(host, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore');
    this.#zebra = this.#start('zebra', '-A', '127.0.0.1');
  }

  static async start(host: Host, options: FrrOptions): Promise<Frr> {
    const frr = new Frr(host, options);
    await frr.#zebra.find('zebra to start', (line) => line.includes('starting') || undefined);
    frr.#vrrpd = frr.#start('vrrpd');
    return frr;
  }

  get lines(): readonly string[] {
    return this.#vrrpd?.lines ?? [];
  }

  listening(): Promise<unknown> {
    return this.#vrrpd!.find('vrrpd to be Backup', (line) => line.includes('Initialize -> Backup') || undefined);
  }

  setPriority(priority: number): void {
    const commands = ['configure terminal', `interface ${INTERFACE}`, `vrrp ${VRID} priority ${priority}`];
    onHost(this.#host, 'vtysh', '--vty_socket', this.#folder, '-d', 'vrrpd', ...commands.flatMap((command) => ['-c', command]));
  }

  crash(): void {
    this.#vrrpd!.signal('SIGKILL');
    this.#zebra.signal('SIGKILL');
    onHost(this.#host, 'ip', 'link', 'delete', MACVLAN);
  }

  async stop(): Promise<void> {
    await this.#vrrpd!.end('SIGTERM');
  }

  async end(): Promise<void> {
    await this.#vrrpd?.end('SIGKILL');
    await this.#zebra.end('SIGKILL');
    try {
      onHost(this.#host, 'ip', 'link', 'delete', MACVLAN);
    } catch {
      // The crash has taken it along.
    }
    rmSync(this.#folder, { recursive: true });
  }

  #start(daemon: 'zebra' | 'vrrpd', ...more: string[]): Talker {
    const file = (name: string): string => this.#file(name);
    return new Talker(this.#host.within([
      ...AT_ONCE, `/usr/lib/frr/${daemon}`, '-z', file('zserv.api'), '-i', file(`${daemon}.pid`), '-f', file(`${daemon}.conf`),
      '--vty_socket', this.#folder, '-P', '0', '--log', 'stdout', ...more,
    ]));
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}
