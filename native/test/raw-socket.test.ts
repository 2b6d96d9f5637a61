import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { deliver, type Received } from '../lib/socket.js';
import { Agent, type RemoteObject } from './support/agent.js';
import { Namespaces } from './support/namespace.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const VRRP = 112;
const GROUP = '224.0.0.18';
type Message = [packet: Uint8Array, info: { ifindex: number; timestampNs: bigint }];

let net: Namespaces;
let a: Agent;
let b: Agent;
let sender: RemoteObject;
let receiver: RemoteObject;

beforeAll(async () => {
  net = new Namespaces('raw-a', 'raw-b');
  net.connect({ namespace: 'raw-a', device: 'v0', address: '10.9.0.1/24' }, { namespace: 'raw-b', device: 'v0', address: '10.9.0.2/24' });
  net.connect({ namespace: 'raw-a', device: 'v1', address: '10.9.1.1/24' }, { namespace: 'raw-b', device: 'v1', address: '10.9.1.2/24' });
  a = new Agent(net.path('raw-a'));
  b = new Agent(net.path('raw-b'));
  sender = await a.create('RawSocket', { protocol: VRRP, interface: 'v0', ttl: 255 });
  receiver = await b.create('RawSocket', { protocol: VRRP, interface: 'v0', multicast: [GROUP], ttl: 255 });
}, 30_000);
afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  net?.remove();
});

function ipv4(packet: Uint8Array): { source: string; destination: string; ttl: number; protocol: number; payload: string } {
  const headerLength = (packet[0]! & 15) * 4;
  return {
    source: packet.subarray(12, 16).join('.'), destination: packet.subarray(16, 20).join('.'),
    ttl: packet[8]!, protocol: packet[9]!, payload: Buffer.from(packet.subarray(headerLength)).toString(),
  };
}

const isText = (text: string) => (packet: Uint8Array): boolean => ipv4(packet).payload === text;

describe('raw-socket', () => {
  test('multicast crosses the link with TTL 255, the interface it came from and when', async () => {
    const before = process.hrtime.bigint();
    await sender.call('send', Buffer.from('advertisement'), GROUP);
    const [packet, { ifindex, timestampNs }] = await receiver.next<Message>('message', isText('advertisement'));
    expect(ipv4(packet)).toEqual({ source: '10.9.0.1', destination: GROUP, ttl: 255, protocol: VRRP, payload: 'advertisement' });
    expect(ifindex).toBe(await b.run('interfaceIndex', 'v0'));
    expect(timestampNs).toBeGreaterThanOrEqual(before - 1_000_000n);
    expect(timestampNs).toBeLessThanOrEqual(process.hrtime.bigint());
  });

  test('unicast goes back with the same TTL', async () => {
    await receiver.call('send', Buffer.from('answer'), '10.9.0.1');
    const [packet] = await sender.next<Message>('message', isText('answer'));
    expect(ipv4(packet)).toMatchObject({ source: '10.9.0.2', destination: '10.9.0.1', ttl: 255 });
  });

  test('nothing arrives from another interface, or of a group that is not joined', async () => {
    const other = await a.create('RawSocket', { protocol: VRRP, interface: 'v1', ttl: 255 });
    const everywhere = await b.create('RawSocket', { protocol: VRRP, multicast: [] });
    await other.call('send', Buffer.from('wrong interface'), GROUP);
    await other.call('send', Buffer.from('by v1'), '10.9.1.2');
    const [, { ifindex }] = await everywhere.next<Message>('message', isText('by v1'));
    expect(ifindex).toBe(await b.run('interfaceIndex', 'v1'));
    await sender.call('send', Buffer.from('last'), GROUP);
    await receiver.next<Message>('message', (packet) => {
      expect(ipv4(packet).payload).not.toBe('wrong interface');
      return ipv4(packet).payload === 'last';
    });
    expect(everywhere.pending('message')).toEqual([]);
    await everywhere.call('close');
    await other.call('close');
  });

  test('our own multicast comes back only with multicastLoop', async () => {
    const looped = await a.create('RawSocket', { protocol: VRRP, interface: 'v0', multicast: [GROUP], multicastLoop: true });
    const quiet = await a.create('RawSocket', { protocol: VRRP, interface: 'v0', multicast: [GROUP] });
    await quiet.call('send', Buffer.from('not looped'), GROUP);
    await looped.call('send', Buffer.from('looped'), GROUP);
    await looped.next<Message>('message', (packet) => {
      expect(ipv4(packet).payload).not.toBe('not looped');
      return ipv4(packet).payload === 'looped';
    });
    await looped.call('close');
    await quiet.call('close');
  });

  test('with headerIncluded the packet brings its own addresses', async () => {
    const forged = await a.create('RawSocket', { protocol: VRRP, interface: 'v0', headerIncluded: true });
    const header = Buffer.from([0x45, 0xc0, 0, 0, 0, 0, 0x40, 0, 255, VRRP, 0, 0, 10, 9, 0, 77, 224, 0, 0, 18]);
    await forged.call('send', Buffer.concat([header, Buffer.from('own header')]), GROUP);
    const [packet] = await receiver.next<Message>('message', isText('own header'));
    expect(ipv4(packet)).toMatchObject({ source: '10.9.0.77', destination: GROUP, ttl: 255 });
    await forged.call('close');
  });

  test('a burst longer than a wake-up arrives whole and in order', async () => {
    const burst = Array.from({ length: 150 }, (_, index) => `burst ${index}`);
    await Promise.all(burst.map((text) => sender.call('send', Buffer.from(text), GROUP)));
    for (const text of burst) {
      const [packet] = await receiver.next<Message>('message');
      expect(ipv4(packet).payload).toBe(text);
    }
  });

  test('failures carry the errno, the operation and what it was about', async () => {
    await expect(a.create('RawSocket', { protocol: VRRP, interface: 'absent0' }))
      .rejects.toMatchObject({ name: 'SystemError', code: 'ENODEV', operation: 'if_nametoindex', message: expect.stringContaining('absent0') });
    await expect(a.create('RawSocket', { protocol: VRRP, interface: 'v0', multicast: ['10.0.0.1'] }))
      .rejects.toMatchObject({ code: 'EINVAL', operation: 'setsockopt', message: expect.stringContaining('IP_ADD_MEMBERSHIP 10.0.0.1') });
    await expect(sender.call('send', Buffer.from('x'), 'nonsense')).rejects.toMatchObject({ code: 'EINVAL', operation: 'inet_pton' });
    await expect(sender.call('send', Buffer.alloc(65530), GROUP)).rejects.toMatchObject({ code: 'EMSGSIZE', operation: 'sendto' });
  });

  test('a closed socket is closed for good', async () => {
    const closed = await a.create('RawSocket', { protocol: VRRP });
    await closed.call('close');
    await closed.call('close');
    await expect(closed.call('send', Buffer.from('x'), GROUP)).rejects.toMatchObject({ code: 'EBADF', operation: 'sendto' });
  });
});

describe('socket/deliver', () => {
  const message = (text: string): Received => ({ data: Buffer.from(text), ifindex: 1, packetType: 0, timestampNs: 0n });

  test('a listener that closes the socket sees nothing of the rest of the batch', () => {
    const seen: string[] = [];
    let open = true;
    deliver([message('a'), message('b'), message('c')], 100, () => open,
      ({ data }) => { seen.push(data.toString()); open = seen.length < 2; },
      (error) => { seen.push(error.code); });
    expect(seen).toEqual(['a', 'b']);
  });

  test('the error comes after the messages that preceded it', () => {
    const seen: string[] = [];
    deliver([message('a')], 100, () => true, ({ data }) => { seen.push(data.toString()); }, (error) => { seen.push(error.code); });
    expect(seen).toEqual(['a', 'ENETDOWN']);
  });
});
