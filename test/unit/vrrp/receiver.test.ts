/** One ear for all elections on an interface. */
import { describe, expect, it } from 'vitest';
import { Receiver } from '../../../src/vrrp/receiver.js';
import { advertPacket, type Heard } from './edge.js';

/** A receiver with channels for these VRIDs, and what each was told: priorities. */
function listening(...vrids: number[]) {
  let ends: (() => void)[] = [];
  const receiver = new Receiver((callback) => {
    ends.push(callback);
    return () => undefined;
  });
  const told = vrids.map((vrid) => {
    const heard: string[] = [];
    const channel = receiver.channelOf(vrid, () => undefined);
    channel.on('message', (packet, { timestampNs }) => void heard.push(`${packet[22]}@${timestampNs}`));
    channel.on('error', (error) => void heard.push(error.message));
    return { heard, channel };
  });
  const hear = (heard: Heard, atNs: bigint): void => receiver.received(advertPacket(heard), { timestampNs: atNs });
  const endRound = (): void => {
    const due = ends;
    ends = [];
    for (const end of due) end();
  };
  return { receiver, told, hear, endRound, rounds: () => ends.length };
}

describe('an election hears', () => {
  it('what is for it, and nothing of the others', () => {
    const { told, hear } = listening(51, 52);
    hear({ vrid: 51, priority: 10 }, 1n);
    hear({ vrid: 52, priority: 20 }, 2n);
    hear({ vrid: 53, priority: 30 }, 3n);
    expect(told.map(({ heard }) => heard)).toEqual([['10@1'], ['20@2']]);
  });

  it('of a flood the first at once, and the last at the end of the round', () => {
    const { told: [one], hear, endRound, rounds } = listening(51);
    for (let i = 1; i <= 1_000; i++) hear({ priority: i % 100 }, BigInt(i));
    expect(one!.heard).toEqual(['1@1']);
    expect(rounds()).toBe(1);
    endRound();
    expect(one!.heard).toEqual(['1@1', '0@1000']);
    hear({ priority: 7 }, 1_001n);
    expect(one!.heard.at(-1)).toBe('7@1001');
  });

  it('of each source, however much another sends', () => {
    const { told: [one], hear, endRound } = listening(51);
    for (let i = 0; i < 100; i++) hear({ priority: 1, source: '10.9.0.66' }, 1n);
    hear({ priority: 200, source: '10.9.0.1' }, 2n);
    endRound();
    expect(one!.heard).toEqual(['1@1', '200@2', '1@1']);
  });

  it('a single one once', () => {
    const { told: [one], hear, endRound } = listening(51);
    hear({ priority: 200 }, 1n);
    endRound();
    expect(one!.heard).toEqual(['200@1']);
  });

  it('nothing any more when its channel is closed, also of what waits', () => {
    const { told: [one, other], hear, endRound } = listening(51, 51);
    hear({ priority: 1 }, 1n);
    hear({ priority: 2 }, 2n);
    one!.channel.close();
    endRound();
    hear({ priority: 3 }, 3n);
    expect(one!.heard).toEqual(['1@1']);
    expect(other!.heard).toEqual(['1@1', '2@2', '3@3']);
  });

  it('that the socket has failed', () => {
    const { receiver, told } = listening(51, 52);
    receiver.failed(new Error('ENETDOWN'));
    expect(told.map(({ heard }) => heard)).toEqual([['ENETDOWN'], ['ENETDOWN']]);
  });
});

it('packets that are cut off are nobody\'s, and do no harm', () => {
  const { receiver, told: [one] } = listening(51);
  const whole = advertPacket();
  for (let length = 0; length < 22; length++) receiver.received(whole.subarray(0, length), { timestampNs: 0n });
  expect(one!.heard).toEqual([]);
});
