/** Names of what the tables know by number. */
import { compareFloatingIps } from '../sessions/floating-ips.js';
import type { FloatingIp } from '../sessions/floating-ips.js';
import type { Place } from '../sessions/directory.js';
import { segmentOf } from '../compile/routers.js';
import type { Configuration, RouterConfiguration } from '../config/schema.js';

export interface Places {
  /** By VNI, encapsulation included. */
  readonly byVni: ReadonlyMap<number, Place>;
  readonly routers: readonly string[];
  readonly networks: readonly string[];
  readonly floatingIps: readonly FloatingIp[];
}

const known = new WeakMap<Configuration, Places>();

/** Worked out once for each configuration: there can be tens of thousands. */
export function placesOf(configuration: Configuration): Places {
  const found = known.get(configuration) ?? workOut(configuration);
  known.set(configuration, found);
  return found;
}

function workOut({ routers }: Configuration): Places {
  const places = routers.flatMap((router) => router.networks.map((network): [number, Place] => [
    segmentOf(network), { router: router.name, network: network.name, vrid: router.virtualRouter },
  ]));
  return {
    byVni: new Map(places),
    routers: routers.map(({ name }) => name),
    networks: [...new Set(places.map(([, { network }]) => network))],
    floatingIps: routers.flatMap(floatingIpsOf).sort(compareFloatingIps),
  };
}

function floatingIpsOf({ name: router, virtualRouter: vrid, networks, floatingIps }: RouterConfiguration): FloatingIp[] {
  const vnis = new Map(networks.map((network) => [network.name, segmentOf(network)]));
  return floatingIps.map(({ address, network, fixedIp }) => ({ address, router, network, vni: vnis.get(network)!, fixedIp, vrid }));
}
