/** The answers that a real kernel gives too rarely to wait for: NetlinkChannel against a scripted socket. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { NetlinkChannel, type NetlinkRequest } from '../lib/netlink/channel.js';
import { attribute, buildMessage, control, flag, parseMessages, type NetlinkMessage } from '../lib/netlink/message.js';
import type { OnMessages } from '../lib/socket.js';

const kernel = vi.hoisted(() => ({
  sent: [] as Buffer[],
  deliver: undefined as unknown as OnMessages,
  failNextSend: undefined as Error | undefined,
  referenced: true,
}));

vi.mock('../lib/binding.js', () => ({
  addon: () => ({
    NetlinkSocket: class {
      constructor(_protocol: number, _groups: number[], onMessages: OnMessages) { kernel.deliver = onMessages; }
      send(message: Buffer): void {
        const failure = kernel.failNextSend;
        kernel.failNextSend = undefined;
        if (failure !== undefined) throw failure;
        kernel.sent.push(message);
      }
      close(): void {}
      ref(): void { kernel.referenced = true; }
      unref(): void { kernel.referenced = false; }
    },
  }),
}));

const ENOBUFS = 105;
const DUMP: NetlinkRequest = { operation: 'RTM_GETROUTE', type: 26, flags: flag.dump, payload: Buffer.alloc(12) };
const CHANGE: NetlinkRequest = { operation: 'RTM_NEWROUTE x', type: 24, flags: flag.create, payload: Buffer.alloc(12) };

/** The request that waits for an answer. */
function asked(): NetlinkMessage {
  return parseMessages(kernel.sent.at(-1)!)[0]!;
}

function answer(...messages: Buffer[]): void {
  kernel.deliver([{ data: Buffer.concat(messages), ifindex: 0, packetType: 0, timestampNs: 0n }], 0);
}

function status(errno: number): Buffer {
  const payload = Buffer.alloc(20);
  payload.writeInt32LE(-errno, 0);
  return payload;
}

const part = (text: string, flags: number = flag.multi): Buffer => buildMessage(24, flags, asked().sequence, Buffer.from(text.padEnd(8)));
const done = (flags: number = flag.multi): Buffer => buildMessage(control.done, flags, asked().sequence, Buffer.alloc(4));
const text = (messages: NetlinkMessage[]): string[] => messages.map(({ payload }) => payload.toString().trim());

let channel: NetlinkChannel;
beforeEach(() => {
  kernel.sent.length = 0;
  channel = new NetlinkChannel(0);
});

describe('netlink/channel against a scripted kernel', () => {
  test('a dump interrupted by a change is read again from the start', async () => {
    const dump = channel.request(DUMP);
    const first = asked().sequence;
    answer(part('old', flag.multi | flag.dumpInterrupted), done());
    expect(asked().sequence).not.toBe(first);
    answer(part('new'), done());
    expect(text(await dump)).toEqual(['new']);
  });

  test('an interruption that only the end of the dump tells counts as well', async () => {
    const dump = channel.request(DUMP);
    answer(part('old'), done(flag.multi | flag.dumpInterrupted));
    answer(part('new'), done());
    expect(text(await dump)).toEqual(['new']);
  });

  test('a dump that never comes to rest is given up', async () => {
    const dump = channel.request(DUMP);
    const outcome = expect(dump).rejects.toMatchObject({ code: 'EINTR', operation: 'RTM_GETROUTE' });
    for (let round = 0; round < 33; round++) answer(part('x', flag.multi | flag.dumpInterrupted), done());
    await outcome;
    expect(kernel.sent).toHaveLength(33);
  });

  test('a dump that overflows the socket is read again, and what is left of it ignored', async () => {
    const dump = channel.request(DUMP);
    const stale = part('stale');
    kernel.deliver([], ENOBUFS);
    answer(stale, part('fresh'), done());
    expect(text(await dump)).toEqual(['fresh']);
  });

  test('a change whose acknowledgement is lost has an unknown outcome and says so', async () => {
    const change = channel.request(CHANGE);
    kernel.deliver([], ENOBUFS);
    await expect(change).rejects.toMatchObject({ code: 'ENOBUFS', message: expect.stringContaining('the answer is lost') });
  });

  test('the kernel\'s explanation is in the message', async () => {
    const change = channel.request(CHANGE);
    const payload = Buffer.concat([status(22), attribute(1, 'Invalid prefix for given prefix length')]);
    answer(buildMessage(control.error, flag.explained | flag.capped, asked().sequence, payload));
    await expect(change).rejects.toMatchObject({ code: 'EINVAL', message: expect.stringMatching(/^RTM_NEWROUTE x failed with EINVAL .*Invalid prefix for given prefix length$/) });
  });

  test('a dump that fails at its end rejects', async () => {
    const dump = channel.request(DUMP);
    answer(part('x'), buildMessage(control.done, flag.multi, asked().sequence, status(12).subarray(0, 4)));
    await expect(dump).rejects.toMatchObject({ code: 'ENOMEM' });
  });

  test('a malformed answer fails its request, not the next one', async () => {
    const [dump, change] = [channel.request(DUMP), channel.request(CHANGE)];
    answer(Buffer.from('nonsense'));
    await expect(dump).rejects.toMatchObject({ code: 'EPROTO', message: expect.stringContaining('8 bytes are no netlink message') });
    answer(buildMessage(control.error, 0, asked().sequence, status(0)));
    await expect(change).resolves.toEqual([]);
  });

  test('a request that cannot be sent fails, and the next one is sent', async () => {
    kernel.failNextSend = new Error('sendto failed');
    const failing = channel.request(CHANGE);
    await expect(failing).rejects.toThrow('sendto failed');
    const change = channel.request(CHANGE);
    answer(buildMessage(control.error, 0, asked().sequence, status(0)));
    await expect(change).resolves.toEqual([]);
  });

  test('the process is held only while an answer is due', async () => {
    expect(kernel.referenced).toBe(false);
    const change = channel.request(CHANGE);
    expect(kernel.referenced).toBe(true);
    answer(buildMessage(control.error, 0, asked().sequence, status(0)));
    await change;
    expect(kernel.referenced).toBe(false);
  });

  test('closing rejects what waits', async () => {
    const waiting = [channel.request(DUMP), channel.request(CHANGE)];
    channel.close();
    for (const request of waiting) await expect(request).rejects.toMatchObject({ code: 'ECANCELED' });
  });
});
