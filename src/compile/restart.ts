import type { InterfaceRole } from '../config/schema.js';
import type { CompiledState, FixedSettings } from './compile.js';
import { interfaceRole } from '../dataplane/layout.generated.js';

/** Why this change cannot be made while the gateway is running: one sentence for each reason. */
export function restartReasons(previous: CompiledState, next: CompiledState): string[] {
  const [before, after] = [previous.fixed, next.fixed];
  const changed: [key: string, before: unknown, after: unknown][] = [
    ['gateway.id', before.gatewayId, after.gatewayId],
    ['stateDirectory', before.stateDirectory, after.stateDirectory],
    ...interfaceSettings(before, after),
    ...(Object.keys(after.limits) as (keyof FixedSettings['limits'])[]).map(
      (limit): [string, number, number] => [`limits.${limit}`, before.limits[limit], after.limits[limit]],
    ),
  ];
  return [
    ...changed.filter(([, from, to]) => from !== to).map(([key, from, to]) => `${key} has changed from ${say(from)} to ${say(to)}, which needs a restart.`),
    ...remadeInterfaces(previous, next),
  ];
}

function interfaceSettings(before: FixedSettings, after: FixedSettings): [string, unknown, unknown][] {
  return (Object.keys(interfaceRole) as InterfaceRole[]).flatMap((role): [string, unknown, unknown][] => {
    const [from, to] = [before.interfaces[role], after.interfaces[role]];
    if (from === undefined || to === undefined) return [[`interfaces.${role}`, from?.name, to?.name]];
    return [
      [`interfaces.${role}.name`, from.name, to.name],
      [`interfaces.${role}.mode`, from.mode, to.mode],
      [`interfaces.${role}.vlan`, vlanOf(from), vlanOf(to)],
    ];
  });
}

function vlanOf(settings: object): unknown {
  return 'vlan' in settings ? settings.vlan : undefined;
}

/** Same name, another interface: our programs went with the old one. */
function remadeInterfaces(previous: CompiledState, next: CompiledState): string[] {
  return (Object.keys(interfaceRole) as InterfaceRole[]).flatMap((role) => {
    const [from, to] = [previous.maps.ports.get(interfaceRole[role]), next.maps.ports.get(interfaceRole[role])];
    const name = next.fixed.interfaces[role]?.name;
    if (from === undefined || to === undefined || from === to || name !== previous.fixed.interfaces[role]?.name) return [];
    return [`the ${role} interface ${name} has been made anew (index ${from}, now ${to}), which needs a restart.`];
  });
}

function say(value: unknown): string {
  return value === undefined ? 'nothing' : String(value);
}
