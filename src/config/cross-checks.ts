import { Check } from './check.js';
import { formatDuration } from './duration.js';
import type { Microseconds, Milliseconds } from './duration.js';
import { checkExternalNetworks, checkExternalSide } from './external-checks.js';
import { checkLimits } from './limit-checks.js';
import { syncModeOf } from './normalise.js';
import type { ConfigurationError, ConfigurationWarning, Reporter } from './problem.js';
import { checkRouters } from './router-checks.js';
import { checkVirtualRouters } from './virtual-router-checks.js';
import type { WrittenConfiguration } from './schema.js';
import { checkTracking } from './tracking-checks.js';

/**
 * What a schema cannot say: values that are good alone and wrong together.
 * Reports everything that it finds.
 */
export function crossCheck(
  configuration: WrittenConfiguration,
  report: Reporter,
): { errors: ConfigurationError[]; warnings: ConfigurationWarning[] } {
  const check = new Check(report);
  checkInterfaces(configuration, check);
  checkSync(configuration, check);
  checkVirtualRouters(configuration, check);
  checkTracking(configuration, check);
  checkExternalNetworks(configuration, check);
  checkRouters(configuration, check);
  checkExternalSide(configuration, check);
  checkLimits(configuration, check);
  warnOfShortTimeouts(configuration, check);
  warnOfUnused(configuration, check);
  return { errors: check.errors, warnings: check.warnings };
}

function checkInterfaces({ interfaces }: WrittenConfiguration, check: Check): void {
  const roles = ['underlay', 'external', 'ha'] as const;
  check.unique(roles.flatMap((role) => (interfaces[role] ? [[['interfaces', role, 'name'], interfaces[role].name] as const] : [])));
}

function checkSync({ interfaces, peer, sync }: WrittenConfiguration, check: Check): void {
  const mode = syncModeOf({ sync, peer });
  if (peer && !interfaces.ha) check.error('FLOATGATE_ERR_CONFIG_MISSING_KEY', ['interfaces', 'ha'], 'is missing: with a peer it must name the interface towards the peer');
  if (mode !== 'none' && !peer) check.conflict(['sync', 'mode'], 'is {value}, but without a peer it must be none');
  if (mode !== 'none' && peer && sync.keyFile === undefined) {
    check.error('FLOATGATE_ERR_CONFIG_MISSING_KEY', ['sync', 'keyFile'], `is missing: with sync.mode ${mode} it must be the absolute path of the file with the shared key`);
  }
  if (mode === 'none' && peer) {
    check.warn('FLOATGATE_WARN_CONFIG_UNPROTECTED', ['sync', 'mode'], 'is {value} although there is a peer: sessions will break at a takeover');
  }
  const least = (3 * sync.heartbeatInterval) as Microseconds;
  for (const key of ['soloAfter', 'livenessAfter'] as const) {
    const after = sync[key];
    if (after !== undefined && after < least) check.conflict(['sync', key], `is ${formatDuration(after)}, but must be at least three heartbeat intervals: ${formatDuration(least)}`);
  }
}

/** What the RFCs forbid, in milliseconds; allowed all the same, for laboratories. */
const shortestTimeouts = {
  tcpEstablished: [7_440_000, 'RFC 5382 REQ-5'],
  tcpTransitory: [240_000, 'RFC 5382 REQ-5'],
  udp: [120_000, 'RFC 4787 REQ-5'],
  icmp: [60_000, 'RFC 5508 REQ-2'],
  portHoldDown: [120_000, 'RFC 6888 REQ-8'],
} as const;

function warnOfShortTimeouts({ timeouts }: WrittenConfiguration, check: Check): void {
  for (const [name, [least, rfc]] of Object.entries(shortestTimeouts)) {
    const timeout: Milliseconds = timeouts[name as keyof typeof timeouts];
    if (timeout >= least) continue;
    check.warn('FLOATGATE_WARN_CONFIG_SHORT_TIMEOUT', ['timeouts', name], `is {value}, less than the ${least / 1_000}s that ${rfc} asks for`);
  }
}

function warnOfUnused({ virtualRouters, externalNetworks, routers }: WrittenConfiguration, check: Check): void {
  const code = 'FLOATGATE_WARN_CONFIG_UNUSED';
  const vrids = new Set(routers.map(({ virtualRouter }) => virtualRouter));
  const names = new Set(routers.map(({ externalNetwork }) => externalNetwork));
  virtualRouters.forEach(({ vrid }, index) => {
    if (!vrids.has(vrid)) check.warn(code, ['virtualRouters', index, 'vrid'], 'is {value}, but no router uses it');
  });
  externalNetworks.forEach(({ name }, index) => {
    if (!names.has(name)) check.warn(code, ['externalNetworks', index, 'name'], 'is {value}, but no router uses it');
  });
}
