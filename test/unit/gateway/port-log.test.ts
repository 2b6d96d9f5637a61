import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../../src/config/configuration.js';
import type { Configuration } from '../../../src/config/schema.js';
import type { DataPlaneEvent } from '../../../src/dataplane/events.js';
import { eventCodec, eventType, portLogCodec } from '../../../src/dataplane/layout.generated.js';
import { portLogLine } from '../../../src/gateway/port-log.js';
import { example } from '../config/example.js';

function configuration(): Configuration {
  const result = parseConfiguration(example, 'gw.yaml');
  if (result.errors !== undefined) throw new Error(result.errors[0]!.message);
  return result.configuration;
}

function event(type: number, change: Partial<ReturnType<typeof portLogCodec.decode>> = {}): DataPlaneEvent {
  const frame = Buffer.alloc(portLogCodec.size);
  const log = { vni: 100, internalAddress: 0xac10640a, externalAddress: 0x0a0002c9, firstPort: 4096, ports: 256, protocol: 0, ...change };
  portLogCodec.encode(log, frame);
  return { ...eventCodec.decode(Buffer.alloc(eventCodec.size)), type, frame };
}

describe('allocations of ports', () => {
  it('a block is one line, with all that names its VM', () => {
    expect(portLogLine(event(eventType.portsAllocated), configuration())).toEqual({
      reason: 'ports_allocated', router: 'tenant-a', network: 'a-net', vm: '172.16.100.10',
      externalAddress: '10.0.2.201', ports: '4096-4351', protocol: 'all',
    });
  });

  it('a port below 1024 is one of its protocol', () => {
    expect(portLogLine(event(eventType.portsReleased, { firstPort: 500, ports: 1, protocol: 17 }), configuration())).toMatchObject({
      reason: 'ports_released', ports: '500-500', protocol: 'udp',
    });
  });

  it('a VM of a network that has gone has no names', () => {
    expect(portLogLine(event(eventType.portsReleased, { vni: 4711 }), configuration())).toMatchObject({ router: '', network: '' });
  });

  it.each([
    ['shorter than its struct', { ...event(eventType.portsAllocated), frame: Buffer.alloc(portLogCodec.size - 1) }],
    ['of a protocol without ports', event(eventType.portsAllocated, { protocol: 47 })],
  ])('a record %s is nothing', (_, told) => {
    expect(portLogLine(told, configuration())).toBeUndefined();
  });
});
