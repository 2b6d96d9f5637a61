import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Agent, type RemoteObject } from './support/agent.js';
import { Namespaces } from './support/namespace.js';

// Compilers and processes take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const ARP = 0x0806;
/** Local experimental EtherType (IEEE 802): nobody answers it. */
const EXPERIMENTAL = 0x88b5;
const ALL = 3;
type Frame = [frame: Uint8Array, info: { ifindex: number; timestampNs: bigint; packetType: string }];

let net: Namespaces;
let a: Agent;
let b: Agent;
let sender: RemoteObject;
let receiver: RemoteObject;
let macOfA = '';
let macOfB = '';

beforeAll(async () => {
  net = new Namespaces('packet-a', 'packet-b');
  net.connect({ namespace: 'packet-a', device: 'v0', address: '10.9.0.1/24' }, { namespace: 'packet-b', device: 'v0', address: '10.9.0.2/24' });
  net.connect({ namespace: 'packet-a', device: 'v1', address: '10.9.1.1/24' }, { namespace: 'packet-b', device: 'v1', address: '10.9.1.2/24' });
  a = new Agent(net.path('packet-a'));
  b = new Agent(net.path('packet-b'));
  macOfA = macOf('packet-a');
  macOfB = macOf('packet-b');
  sender = await a.create('PacketSocket', { interface: 'v0' });
  receiver = await b.create('PacketSocket', { interface: 'v0', protocol: EXPERIMENTAL });
}, 30_000);
afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  net?.remove();
});

function macOf(namespace: string): string {
  return /link\/ether ([0-9a-f:]{17})/.exec(net.ip(namespace, 'link', 'show', 'v0'))![1]!;
}

function frame(destination: string, source: string, type: number, text: string): Buffer {
  const hex = `${destination}${source}`.replaceAll(':', '') + type.toString(16).padStart(4, '0');
  return Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from(text.padEnd(46, '.'))]);
}

const isText = (text: string) => (bytes: Uint8Array): boolean => Buffer.from(bytes.subarray(14)).toString() === text.padEnd(46, '.');

describe('packet-socket', () => {
  test('a frame arrives byte by byte, with interface, time and kind', async () => {
    const before = process.hrtime.bigint();
    const sent = frame(macOfB, macOfA, EXPERIMENTAL, 'for you');
    await sender.call('send', sent);
    const [bytes, { ifindex, timestampNs, packetType }] = await receiver.next<Frame>('frame', isText('for you'));
    expect(Buffer.from(bytes)).toEqual(sent);
    expect(ifindex).toBe(await b.run('interfaceIndex', 'v0'));
    expect(packetType).toBe('host');
    expect(timestampNs).toBeGreaterThanOrEqual(before - 1_000_000n);
    expect(timestampNs).toBeLessThanOrEqual(process.hrtime.bigint());
  });

  test.each([
    ['ff:ff:ff:ff:ff:ff', 'broadcast'],
    ['01:00:5e:00:00:12', 'multicast'],
    ['02:00:00:00:00:99', 'otherHost'],
  ])('a frame to %s is of type %s', async (destination, packetType) => {
    await sender.call('send', frame(destination, macOfA, EXPERIMENTAL, packetType));
    const [, info] = await receiver.next<Frame>('frame', isText(packetType));
    expect(info.packetType).toBe(packetType);
  });

  test('a virtual source MAC leaves as it is written', async () => {
    await sender.call('send', frame('ff:ff:ff:ff:ff:ff', '00:00:5e:00:01:33', EXPERIMENTAL, 'virtual'));
    const [bytes] = await receiver.next<Frame>('frame', isText('virtual'));
    expect(Buffer.from(bytes.subarray(6, 12)).toString('hex')).toBe('00005e000133');
  });

  test('other EtherTypes and other interfaces stay out', async () => {
    const elsewhere = await a.create('PacketSocket', { interface: 'v1' });
    await elsewhere.call('send', frame('ff:ff:ff:ff:ff:ff', macOfA, EXPERIMENTAL, 'elsewhere'));
    await sender.call('send', frame('ff:ff:ff:ff:ff:ff', macOfA, 0x88b6, 'another type'));
    await sender.call('send', frame('ff:ff:ff:ff:ff:ff', macOfA, EXPERIMENTAL, 'end'));
    const [bytes] = await receiver.next<Frame>('frame');
    expect(isText('end')(bytes)).toBe(true);
    await elsewhere.call('close');
  });

  test('a socket for one EtherType hears the kernel, and one for all hears itself', async () => {
    const arp = await b.create('PacketSocket', { interface: 'v0', protocol: ARP });
    const all = await a.create('PacketSocket', { interface: 'v0', protocol: ALL });
    const request = Buffer.from('0001080006040001' + macOfA.replaceAll(':', '') + '0a090001' + '000000000000' + '0a090002', 'hex');
    await sender.call('send', Buffer.concat([frame('ff:ff:ff:ff:ff:ff', macOfA, ARP, '').subarray(0, 14), request]));
    const [bytes] = await arp.next<Frame>('frame');
    expect(Buffer.from(bytes.subarray(14, 42))).toEqual(request);
    await all.next<Frame>('frame', (_frame, info) => info.packetType === 'outgoing');
    const [reply] = await all.next<Frame>('frame', (_frame, info) => info.packetType === 'host');
    expect(Buffer.from(reply.subarray(20, 28)).toString('hex')).toBe(`0002${macOfB.replaceAll(':', '')}`);
    await arp.call('close');
    await all.call('close');
  });

  test('promiscuous mode lasts as long as the socket', async () => {
    const count = (): number => Number(/promiscuity (\d+)/.exec(net.ip('packet-b', '-d', 'link', 'show', 'v0'))![1]);
    const curious = await b.create('PacketSocket', { interface: 'v0', protocol: EXPERIMENTAL, promiscuous: true });
    expect(count()).toBe(1);
    await curious.call('close');
    expect(count()).toBe(0);
  });

  test('when the interface goes down the socket says so, and works again afterwards', async () => {
    net.ip('packet-b', 'link', 'set', 'v0', 'down');
    const [error] = await receiver.next<[{ code: string; operation: string }]>('error');
    expect(error).toMatchObject({ code: 'ENETDOWN', operation: 'recvmsg' });
    net.ip('packet-b', 'link', 'set', 'v0', 'up');
    await sender.call('send', frame('ff:ff:ff:ff:ff:ff', macOfA, EXPERIMENTAL, 'back'));
    await receiver.next<Frame>('frame', isText('back'));
  });

  test.each([
    ['the queue of the interface', '5000', 'ENOBUFS'],
    ['the socket', '100000000', 'EAGAIN'],
  ])('when %s is full, send says so at once', async (_what, limit, code) => {
    net.exec('packet-a', 'tc', 'qdisc', 'replace', 'dev', 'v0', 'root', 'tbf', 'rate', '8kbit', 'burst', '2kb', 'limit', limit);
    const flood = await a.create('PacketSocket', { interface: 'v0' });
    const sent = await Promise.allSettled(Array.from({ length: 1000 }, () => flood.call('send', frame(macOfB, macOfA, EXPERIMENTAL, 'flood'))));
    net.exec('packet-a', 'tc', 'qdisc', 'delete', 'dev', 'v0', 'root');
    const refusals = sent.filter((outcome) => outcome.status === 'rejected').map((outcome) => outcome.reason as { code: string; operation: string });
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code, operation: 'sendto' });
    await flood.call('close');
  });

  test('failures carry the errno, the operation and what it was about', async () => {
    await expect(a.create('PacketSocket', { interface: 'absent0' })).rejects.toMatchObject({ code: 'ENODEV', operation: 'if_nametoindex' });
    await expect(sender.call('send', Buffer.alloc(13))).rejects.toMatchObject({ code: 'EINVAL', operation: 'sendto' });
    await expect(sender.call('send', Buffer.alloc(1600))).rejects.toMatchObject({ code: 'EMSGSIZE', operation: 'sendto' });
    net.ip('packet-a', 'link', 'set', 'v1', 'down');
    const down = await a.create('PacketSocket', { interface: 'v1' });
    await expect(down.call('send', frame(macOfB, macOfA, EXPERIMENTAL, 'x'))).rejects.toMatchObject({ code: 'ENETDOWN', operation: 'sendto' });
    await down.call('close');
    await expect(down.call('send', frame(macOfB, macOfA, EXPERIMENTAL, 'x'))).rejects.toMatchObject({ code: 'EBADF' });
  });
});
