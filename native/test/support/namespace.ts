/** Network namespaces of one test: fgt-<pid>-<name>, deleted with everything in them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const DIRECTORY = '/run/netns';
const PREFIX = 'fgt-';

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export class Namespaces {
  readonly #names = new Map<string, string>();
  readonly #onExit = (): void => this.remove();

  /** @param names short names, unique within the process */
  constructor(...names: string[]) {
    removeAbandoned();
    process.once('exit', this.#onExit);
    for (const name of names) {
      const full = `${PREFIX}${process.pid}-${name}`;
      ip('netns', 'add', full);
      this.#names.set(name, full);
      ip('-n', full, 'link', 'set', 'lo', 'up');
    }
  }

  /** The name as `ip netns` knows it. */
  name(short: string): string {
    const full = this.#names.get(short);
    if (full === undefined) throw new Error(`no namespace ${short}`);
    return full;
  }

  path(short: string): string {
    return `${DIRECTORY}/${this.name(short)}`;
  }

  /** `ip -n <namespace> …` */
  ip(short: string, ...args: string[]): string {
    return ip('-n', this.name(short), ...args);
  }

  /** Runs a program in the namespace; returns what it prints. */
  exec(short: string, ...command: string[]): string {
    return execFileSync('nsenter', [`--net=${this.path(short)}`, ...command], { encoding: 'utf8' });
  }

  /** A cable from `a` to `b`, up, with these addresses. IPv6 is off: it would chatter. */
  connect(a: { namespace: string; device: string; address: string }, b: { namespace: string; device: string; address: string }): void {
    ip('link', 'add', a.device, 'netns', this.name(a.namespace), 'type', 'veth',
      'peer', 'name', b.device, 'netns', this.name(b.namespace));
    for (const { namespace, device, address } of [a, b]) {
      this.exec(namespace, 'sysctl', '-q', '-w', `net.ipv6.conf.${device}.disable_ipv6=1`);
      this.ip(namespace, 'address', 'add', address, 'dev', device);
      this.ip(namespace, 'link', 'set', device, 'up');
    }
  }

  remove(): void {
    process.off('exit', this.#onExit);
    for (const full of this.#names.values()) ip('netns', 'delete', full);
    this.#names.clear();
  }
}

/** What a killed test run has left behind. */
function removeAbandoned(): void {
  if (!existsSync(DIRECTORY)) return;
  for (const name of readdirSync(DIRECTORY)) {
    const pid = /^fgt-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    try {
      ip('netns', 'delete', name);
    } catch {
      // Another test run was quicker.
    }
  }
}
