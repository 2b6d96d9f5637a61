/** RFC 6888 REQ-12, REQ-14, RFC 7422: who had which ports. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { eventType, portLogCodec, type PortLog } from '../../src/dataplane/layout.generated.js';
import { ipv4ToNumber } from '../support/bytes.js';
import { GatewayFixture, hooks, ticksAgo } from '../support/gateway-fixture.js';
import { emittedBy, mappingOf, overTcp, overUdp, send } from '../support/traffic.js';
import * as world from '../support/world.js';
import { a1, a2, server } from '../support/world.js';

const BLOCK_PORTS = 256;
/** Longer than the ring buffer takes. */
const DELIVERED_MS = 60;

interface Told extends PortLog {
  readonly type: number;
}

describe.each(hooks)('the log of ports, %s', (hook) => {
  const gateway = GatewayFixture.load({ hook });
  afterAll(() => gateway.close());
  beforeEach(() => {
    gateway.reset({ syncMode: 'none' });
    gateway.setGateway({ logPorts: 1 });
  });

  /** What the work has told of ports: nothing is told later than this. */
  async function told(work: () => void): Promise<Told[]> {
    const events = await emittedBy(gateway);
    work();
    await new Promise((resolve) => setTimeout(resolve, DELIVERED_MS));
    return events
      .filter(({ event }) => event.type === eventType.portsAllocated || event.type === eventType.portsReleased)
      .map(({ event, frame }) => ({ type: event.type, ...portLogCodec.decode(frame) }));
  }

  const ofA1 = {
    vni: a1.tenant.vni, internalAddress: ipv4ToNumber(a1.address), externalAddress: ipv4ToNumber(world.tenantA.externalAddress),
  };

  it('is empty unless the configuration asks for it', async () => {
    gateway.setGateway({ logPorts: 0 });
    expect(await told(() => send(gateway, a1, server, overUdp.request(40_000)))).toEqual([]);
  });

  it('a block is told once, whatever number of sessions it serves (RFC 6888 REQ-14)', async () => {
    const lines = await told(() => {
      for (let port = 40_000; port < 40_040; port += 2) send(gateway, a1, server, overTcp.request(port));
    });
    const { externalPort } = mappingOf(gateway, a1, overTcp, 40_000);
    const firstPort = externalPort - (externalPort % BLOCK_PORTS);
    expect(lines).toEqual([{ type: eventType.portsAllocated, ...ofA1, firstPort, ports: BLOCK_PORTS, protocol: 0 }]);
  });

  it('names no destination (RFC 6888 REQ-12)', async () => {
    const first = await told(() => send(gateway, a1, server, overUdp.request(40_000)));
    const second = await told(() => send(gateway, a1, world.otherServer, overUdp.request(40_000)));
    expect([first.length, second.length]).toEqual([1, 0]);
  });

  it('a port below 1024, given out by itself, is a line of its protocol', async () => {
    const lines = await told(() => send(gateway, a1, server, overUdp.request(500)));
    const { externalPort } = mappingOf(gateway, a1, overUdp, 500);
    expect(lines).toContainEqual({ type: eventType.portsAllocated, ...ofA1, firstPort: externalPort, ports: 1, protocol: 17 });
  });

  it('a floating IP has no ports to tell of', async () => {
    gateway.ensureVm(a2);
    expect(await told(() => send(gateway, a2, server, overUdp.request(40_000)))).toEqual([]);
  });

  it('what goes back is told', async () => {
    gateway.setGateway({ holdDownTicks: 1 });
    send(gateway, a1, server, overUdp.request(40_000));
    const { externalPort } = mappingOf(gateway, a1, overUdp, 40_000);
    const lines = await told(() => age(gateway));
    const firstPort = externalPort - (externalPort % BLOCK_PORTS);
    expect(lines).toContainEqual({ type: eventType.portsReleased, ...ofA1, firstPort, ports: BLOCK_PORTS, protocol: 0 });
  });
});

/** Everything was last used long ago: a pass ends the mappings, another gives their block back. */
function age(gateway: GatewayFixture): void {
  const long = ticksAgo(100_000);
  gateway.virtualRouters.update(world.VRID, { activeSinceNs: 0n });
  for (const [index, mapping] of [...gateway.mappingTable.used()]) {
    gateway.mappingTable.update(index, { lastSeen: long, first: { ...mapping.first, lastSeen: long } });
  }
  pass(gateway);
  for (const [index, block] of [...gateway.portBlockTable.used()]) gateway.portBlockTable.set(index, { ...block, lastSeen: long });
  pass(gateway);
}

function pass(gateway: GatewayFixture): void {
  gateway.walks.set(1, { phase: 0, position: 0, records: 0, seed: 0n });
  while (gateway.execute('age_xdp', Buffer.alloc(1200)).verdict !== 'DROP');
}
