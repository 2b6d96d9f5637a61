import type { Command } from 'commander';
import { formatIpv4 } from '../config/address.js';
import { parseConfiguration } from '../config/configuration.js';
import type { Configuration } from '../config/schema.js';
import { keyPermissionsCode, KeyFileError, readKeyFile } from '../files/key-file.js';
import { readTextFile } from '../files/text-file.js';
import { counted } from './counted.js';

interface CheckOptions {
  readonly config: string;
  readonly json?: boolean;
  /** False: --no-key. */
  readonly key: boolean;
}

/** What `floatgate check --json` prints. */
export interface CheckResult {
  readonly ok: boolean;
  /** Present when ok. */
  readonly summary?: Summary;
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
}

interface Finding {
  readonly code: string;
  readonly message: string;
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly path: string;
}

interface Summary {
  readonly gateway: string;
  readonly id: number;
  readonly peer?: string | undefined;
  readonly syncMode: string;
  readonly virtualRouters: number;
  readonly externalNetworks: number;
  readonly routers: number;
  readonly networks: number;
  readonly floatingIps: number;
}

export function register(program: Command): void {
  program
    .command('check')
    .description('Check a configuration file, and the key file that it names, without touching the system.')
    .requiredOption('-c, --config <file>', 'the configuration file')
    .option('--no-key', 'do not read sync.keyFile: for files that are meant for another machine')
    .option('--json', 'print the result as JSON')
    .action((options: CheckOptions) => {
      const result = checkFile(options.config, options.key);
      if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
      else print(options.config, result);
      process.exitCode = result.ok ? 0 : 1;
    });
}

/** @throws Error when the file cannot be read */
export function checkFile(file: string, withKey: boolean): CheckResult {
  const result = parseConfiguration(readTextFile(file, 'the configuration'), file);
  if (result.errors) return { ok: false, errors: result.errors, warnings: [] };
  const { configuration, warnings } = result;
  const key = withKey ? checkKeyFile(configuration, file) : { errors: [], warnings: [] };
  return {
    ok: key.errors.length === 0,
    ...(key.errors.length === 0 && { summary: summarise(configuration) }),
    errors: key.errors,
    warnings: [...warnings, ...key.warnings],
  };
}

function checkKeyFile({ sync }: Configuration, file: string): { errors: Finding[]; warnings: Finding[] } {
  if (sync.mode === 'none' || sync.keyFile === undefined) return { errors: [], warnings: [] };
  const finding = (code: string, says: string): Finding => ({ code, file, path: 'sync.keyFile', message: `${file}: ${says}` });
  try {
    const { warning } = readKeyFile(sync.keyFile);
    return { errors: [], warnings: warning === undefined ? [] : [finding(keyPermissionsCode, warning)] };
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    return { errors: [finding(error.code, error.message)], warnings: [] };
  }
}

function summarise({ gateway, peer, sync, virtualRouters, externalNetworks, routers }: Configuration): Summary {
  return {
    gateway: gateway.name,
    id: gateway.id,
    ...(peer && { peer: formatIpv4(peer.address) }),
    syncMode: sync.mode,
    virtualRouters: virtualRouters.length,
    externalNetworks: externalNetworks.length,
    routers: routers.length,
    networks: routers.reduce((sum, { networks }) => sum + networks.length, 0),
    floatingIps: routers.reduce((sum, { floatingIps }) => sum + floatingIps.length, 0),
  };
}

function print(file: string, { summary, errors, warnings }: CheckResult): void {
  for (const { message } of warnings) process.stderr.write(`warning: ${message}\n`);
  for (const { message } of errors) process.stderr.write(`error: ${message}\n`);
  if (summary) process.stdout.write(`ok: ${file}: ${describe(summary)}\n`);
}

function describe({ gateway, id, peer, syncMode, virtualRouters, externalNetworks, routers, networks, floatingIps }: Summary): string {
  return [
    `gateway ${gateway} (id ${id})`,
    peer === undefined ? 'no peer' : `peer ${peer}`,
    `sync ${syncMode}`,
    counted(virtualRouters, 'virtual router'),
    counted(externalNetworks, 'external network'),
    counted(routers, 'router'),
    counted(networks, 'network'),
    counted(floatingIps, 'floating IP'),
  ].join(', ');
}
