/** The edge: what goes out, in which order, when; and when silence is believed. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/vrrp/clock.js';
import { VRRP_MULTICAST } from '../../../src/vrrp/advertisement.js';
import { VRRP_MULTICAST_MAC, virtualRouterMac } from '../../../src/vrrp/ethernet.js';
import { parseIpv4 } from '../../../src/vrrp/ipv4.js';
import { leaseNs } from '../../../src/vrrp/timing.js';
import { DOWN_MS, Wire, advertPacket, options, setUp, type Heard } from './edge.js';

type Lab = ReturnType<typeof setUp>;

/** Puts an advert into the socket, stamped now by the kernel, read whenever the loop runs. */
function arrive({ loop, receiver }: Lab, heard: Heard = {}): void {
  const timestampNs = loop.now;
  loop.arrive(() => receiver.emit('message', advertPacket(heard), { timestampNs }));
}

function hear(lab: Lab, heard: Heard = {}): void {
  arrive(lab, heard);
  lab.loop.advanceMs(0);
}

function startedActive(...parts: Parameters<typeof setUp>): Lab {
  const lab = setUp(...parts);
  lab.election.start();
  lab.loop.advanceMs(DOWN_MS + 1);
  expect(lab.election.status().state).toBe('Active');
  return lab;
}

describe('transition to Active', () => {
  const lab = setUp();
  lab.election.start();
  lab.loop.advanceMs(DOWN_MS - 0.01);

  it('waits for the whole Active_Down_Interval', () => {
    expect(lab.calls).toEqual(['backup']);
    expect(lab.sender.frames).toEqual([]);
    lab.loop.advanceMs(0.02);
    expect(lab.election.status().state).toBe('Active');
  });

  it('leases, then flips the role, then leases again with the advert', () => {
    expect(lab.calls).toEqual(['backup', 'lease', 'active 1', 'lease']);
  });

  it('advertises from the virtual MAC to the group, with our address', () => {
    const [frame] = lab.sender.frames;
    expect(new Uint8Array(frame!.subarray(0, 6))).toEqual(VRRP_MULTICAST_MAC);
    expect(new Uint8Array(frame!.subarray(6, 12))).toEqual(virtualRouterMac(51));
    expect(lab.sender.adverts()).toEqual([
      {
        source: parseIpv4('10.9.0.2'),
        destination: VRRP_MULTICAST,
        checksumForm: 'message',
        advertisement: { version: 3, vrid: 51, priority: 100, intervalUs: 100_000, addresses: [parseIpv4('10.9.0.100')] },
      },
    ]);
  });

  it('announces each side\'s address on that side, as request and as reply', () => {
    expect(lab.sender.arps()).toEqual(['1 10.9.0.100', '2 10.9.0.100']);
    expect(lab.external.arps()).toEqual(['1 10.0.2.201', '2 10.0.2.201']);
  });
});

describe('Active', () => {
  it('advertises without drift, though every timer is late', () => {
    const lab = startedActive();
    lab.loop.latenessNs = 3_000_000n;
    const before = lab.sender.adverts().length;
    lab.loop.advanceMs(10_004);
    expect(lab.sender.adverts().length - before).toBe(100);
  });

  it('leases for the Active_Down_Interval and a fifth, from each advert on', () => {
    const lab = startedActive();
    lab.loop.advanceMs(1_000);
    const untilNs = lab.leases.at(-1)!;
    const age = lab.loop.now - (untilNs - 433_125_000n);
    expect(age >= 0n && age < 100_000_000n).toBe(true);
  });

  it('repeats the announcement after 2 s', () => {
    const lab = startedActive();
    lab.loop.advanceMs(1_990);
    expect(lab.external.arps()).toHaveLength(2);
    lab.loop.advanceMs(20);
    expect(lab.external.arps()).toHaveLength(4);
  });

  it('announces again when the lease of the one that it followed has ended', () => {
    const lab = setUp();
    lab.election.start();
    hear(lab, { priority: 200 });
    // It advertised every 100 ms with priority 200: 1.2 × 321.875 ms is its lease, 360.9 ms were our patience.
    lab.loop.advanceMs(386);
    expect(lab.election.status().state).toBe('Active');
    expect(lab.external.arps()).toHaveLength(2);
    lab.loop.advanceMs(6);
    expect(lab.external.arps()).toHaveLength(4);
    // Its programs forward stragglers for half a second more.
    lab.loop.advanceMs(499);
    expect(lab.external.arps()).toHaveLength(4);
    lab.loop.advanceMs(2);
    expect(lab.external.arps()).toHaveLength(6);
    lab.loop.advanceMs(1_400);
    expect(lab.external.arps()).toHaveLength(6);
  });

  it('announces nothing then if another has won meanwhile', () => {
    const lab = setUp();
    lab.election.start();
    hear(lab, { priority: 200 });
    lab.loop.advanceMs(380);
    hear(lab, { priority: 200 });
    lab.loop.advanceMs(20);
    expect(lab.external.arps()).toHaveLength(2);
  });

  it('renews no lease with an advert that could not be sent, and goes on trying', () => {
    const lab = startedActive();
    const renewals = lab.leases.length;
    lab.sender.failure = new Error('ENETDOWN');
    lab.loop.advanceMs(1_000);
    expect(lab.leases.length).toBe(renewals);
    expect(lab.election.counters.sendErrors).toBeGreaterThanOrEqual(9);
    lab.sender.failure = undefined;
    lab.loop.advanceMs(100);
    expect(lab.leases.length).toBeGreaterThan(renewals);
  });

  it('lingers when another wins, then drops to Backup', () => {
    const lab = startedActive();
    hear(lab, { priority: 200 });
    expect(lab.calls.at(-1)).toBe('draining');
    // Its adverts go on, or we would take over again.
    for (let i = 0; i < 6; i++) {
      lab.loop.advanceMs(100);
      hear(lab, { priority: 200 });
    }
    expect(lab.calls.at(-1)).toBe('backup');
  });
});

describe('Backup/Active_Down_Timer due', () => {
  it('reads the socket before it believes in silence', () => {
    const lab = setUp();
    lab.election.start();
    lab.loop.advanceMs(300);
    lab.loop.sleepMs(61);
    arrive(lab);
    lab.loop.advanceMs(DOWN_MS - 1);
    expect(lab.election.status().state).toBe('Backup');
    lab.loop.advanceMs(2);
    expect(lab.election.status().state).toBe('Active');
  });

  it('counts silence from the kernel\'s stamp, not from when the advert was read', () => {
    const lab = setUp();
    lab.election.start();
    arrive(lab);
    lab.loop.sleepMs(90);
    lab.loop.advanceMs(DOWN_MS - 90 + 0.1);
    expect(lab.election.status().state).toBe('Active');
  });

  it('reads on while there is something to read', () => {
    const lab = setUp();
    lab.election.start();
    lab.loop.advanceMs(300);
    lab.loop.sleepMs(70);
    for (let i = 0; i < 50; i++) arrive(lab, { vrid: 7 });
    arrive(lab);
    lab.loop.advanceMs(1);
    // Not even for a moment.
    expect(lab.calls).toEqual(['backup']);
  });

  it('after a long pause gives the Active an interval more: the full socket buffer has dropped its latest adverts', () => {
    const lab = setUp();
    lab.election.start();
    for (let i = 0; i < 3; i++) {
      arrive(lab);
      lab.loop.sleepMs(100);
    }
    lab.loop.sleepMs(60_000);
    lab.loop.advanceMs(99);
    expect(lab.election.status().state).toBe('Backup');
    expect(lab.election.counters.lateTimers).toBeGreaterThan(0);
    hear(lab);
    lab.loop.advanceMs(300);
    expect(lab.election.status().state).toBe('Backup');
    lab.loop.advanceMs(100);
    expect(lab.election.status().state).toBe('Active');
  });

  it('after a long pause takes over from an Active that stays silent', () => {
    const lab = setUp();
    lab.election.start();
    lab.loop.sleepMs(60_000);
    lab.loop.advanceMs(151);
    expect(lab.election.status().state).toBe('Active');
  });
});

describe('what the data plane has noted', () => {
  /** An election whose data plane notes; its socket hears what `hear` brings, and nothing else. */
  function noting(change: Parameters<typeof setUp>[0] = {}) {
    const notes: { packet: Buffer; receivedNs: bigint }[] = [];
    const [receiver, sender] = [new Wire(), new Wire()];
    const lab = setUp(change, { sockets: { receiver, sender, noted: () => notes.splice(0) } });
    const note = (heard: Heard = {}): void => void notes.push({ packet: advertPacket(heard), receivedNs: lab.loop.now });
    return { ...lab, receiver, sender, note };
  }

  it('is asked before silence is believed, though the socket had no room for it', () => {
    const lab = noting();
    lab.election.start();
    lab.loop.advanceMs(350);
    lab.note();
    lab.loop.advanceMs(20);
    expect(lab.election.status()).toMatchObject({ state: 'Backup', lastAdvertisement: { priority: 200 } });
    expect(lab.election.counters.notesRead).toBe(1);
    // Silence counts from when it came.
    lab.loop.advanceMs(DOWN_MS - 20 - 0.1);
    expect(lab.election.status().state).toBe('Backup');
    lab.loop.advanceMs(0.2);
    expect(lab.election.status().state).toBe('Active');
  });

  it('keeps a Backup that was stopped for a minute from taking over, at once and without a doubt', () => {
    const lab = noting();
    lab.election.start();
    lab.loop.sleepMs(60_000);
    lab.note();
    lab.loop.advanceMs(300);
    expect(lab.calls).toEqual(['backup']);
  });

  it('is no reason to wait where it says that the Active has less than we', () => {
    const lab = noting();
    lab.election.start();
    lab.loop.advanceMs(350);
    lab.note({ priority: 50 });
    lab.loop.advanceMs(11);
    expect(lab.election.status().state).toBe('Active');
  });

  it('is not undone by what it has overtaken in the socket', () => {
    const lab = noting();
    lab.election.start();
    const resigned = lab.loop.now;
    lab.loop.sleepMs(400);
    lab.note();
    // The backlog is read behind the timer: a resignation that was taken back long ago.
    lab.loop.arrive(() => lab.receiver.emit('message', advertPacket({ priority: 0 }), { timestampNs: resigned + 1n }));
    lab.loop.advanceMs(DOWN_MS - 1);
    expect(lab.election.status().state).toBe('Backup');
    expect(lab.election.counters).toMatchObject({ overtaken: 1, resignationsReceived: 0 });
  });

  it('of the time before us is not for us', () => {
    const { loop } = setUp();
    const notes = [{ packet: advertPacket(), receivedNs: loop.now }];
    loop.sleepMs(10);
    const { election } = setUp({}, { clock: loop, sockets: { receiver: new Wire(), sender: new Wire(), noted: () => notes.splice(0) } });
    election.start();
    loop.advanceMs(DOWN_MS + 1);
    expect(election.status().state).toBe('Active');
    expect(election.counters).toMatchObject({ notesRead: 1, overtaken: 1, advertisementsReceived: 0 });
  });

  it('is heard by an Active that was silent, before it says anything', () => {
    const lab = noting();
    lab.election.start();
    lab.loop.advanceMs(DOWN_MS + 1);
    const sent = lab.sender.priorities().length;
    lab.loop.sleepMs(2_000);
    lab.note({ priority: 50 });
    lab.loop.advanceMs(1);
    expect(lab.election.status().state).toBe('Backup');
    expect(lab.sender.priorities()).toHaveLength(sent);
    expect(lab.transitions.at(-1)?.reason).toBe('was-silent');
  });
});

describe('Active/the event loop is busy', () => {
  it('advertises on, evenly, with a lease for the data plane from each advert on', () => {
    const lab = startedActive();
    const [sent, startNs] = [lab.sender.adverts().length, lab.loop.now];
    lab.loop.blockMs(900);
    expect(lab.sender.adverts().length - sent).toBe(9);
    const lengths = lab.loop.stamps.map((untilNs, i) => untilNs - (lab.loop.stamps[i - 1] ?? untilNs - 100_000_000n));
    expect(new Set(lengths)).toEqual(new Set([100_000_000n]));
    expect(lab.loop.stamps[0]! - startNs).toBeGreaterThan(433_125_000n);
    lab.loop.advanceMs(1);
    // Nobody can have taken over: there is nothing to doubt.
    expect(lab.election.counters.lateTimers).toBe(0);
    expect(lab.election.status().state).toBe('Active');
  });

  it('keeps the role against an advert of lower priority that waits in the socket', () => {
    const lab = startedActive();
    lab.loop.blockMs(900);
    arrive(lab, { priority: 50 });
    lab.loop.advanceMs(1);
    expect(lab.election.status().state).toBe('Active');
    expect(lab.transitions.map(({ reason }) => reason)).not.toContain('was-silent');
  });

  it('for more than a second: falls silent, and listens before it goes on', () => {
    const lab = startedActive();
    const sent = lab.sender.adverts().length;
    lab.loop.blockMs(5_000);
    const said = lab.sender.adverts().length - sent;
    expect(said).toBeGreaterThanOrEqual(9);
    expect(said).toBeLessThanOrEqual(10);
    arrive(lab, { priority: 50 });
    lab.loop.advanceMs(1);
    expect(lab.transitions.at(-1)?.reason).toBe('was-silent');
    expect(lab.sender.adverts()).toHaveLength(sent + said);
  });

  it('for more than a second, and nobody took over: goes on, by the thread again', () => {
    const lab = startedActive();
    lab.loop.blockMs(5_000);
    lab.loop.advanceMs(1);
    const sent = lab.sender.adverts().length;
    expect(lab.election.status().state).toBe('Active');
    lab.loop.blockMs(500);
    expect(lab.sender.adverts().length - sent).toBe(5);
  });

  it('with adverts every 10 s: for as long as three of them', () => {
    const lab = setUp({ advertisementIntervalUs: 10_000_000 });
    lab.election.start();
    lab.loop.advanceMs(36_094);
    const sent = lab.sender.adverts().length;
    lab.loop.blockMs(29_000);
    expect(lab.sender.adverts().length - sent).toBe(2);
    lab.loop.blockMs(60_000);
    expect(lab.sender.adverts().length - sent).toBeLessThanOrEqual(3);
  });
});

describe('Active/the process is stopped', () => {
  it('for four intervals: says nothing when it wakes, though its control lasts a second', () => {
    const lab = startedActive();
    const sent = lab.sender.adverts().length;
    lab.loop.sleepMs(450);
    // The thread wakes first.
    lab.loop.blockMs(1);
    expect(lab.sender.adverts()).toHaveLength(sent);
    arrive(lab, { priority: 50 });
    lab.loop.advanceMs(1);
    expect(lab.transitions.at(-1)?.reason).toBe('was-silent');
  });

  it('for two intervals: goes on as if nothing had been', () => {
    const lab = startedActive();
    lab.loop.sleepMs(250);
    lab.loop.advanceMs(1_000);
    expect(lab.election.counters.lateTimers).toBe(0);
    expect(lab.election.status().state).toBe('Active');
  });
});

describe('Active/what is repeated', () => {
  it('ends with the role, before anything else is said', () => {
    const lab = startedActive();
    hear(lab, { priority: 200 });
    expect(lab.loop.repetitions.size).toBe(0);
    const sent = lab.sender.adverts().length;
    lab.loop.blockMs(2_000);
    expect(lab.sender.adverts()).toHaveLength(sent);
  });

  it('ends with a resignation, which nothing contradicts', () => {
    const lab = startedActive();
    void lab.election.shutdown();
    lab.loop.blockMs(900);
    expect(lab.sender.priorities().at(-1)).toBe(0);
  });

  it('ends with the election', () => {
    const lab = startedActive();
    lab.election.close();
    expect(lab.loop.repetitions.size).toBe(0);
  });

  it('follows the priority and the interval', () => {
    const lab = startedActive();
    lab.election.setPenalty(30);
    lab.loop.blockMs(100);
    expect(lab.sender.priorities().slice(-2)).toEqual([70, 70]);
    lab.election.reconfigure({ ...options, advertisementIntervalUs: 300_000 });
    const sent = lab.sender.adverts().length;
    lab.loop.blockMs(900);
    expect(lab.sender.adverts().slice(sent).map(({ advertisement }) => advertisement.intervalUs)).toEqual([300_000, 300_000, 300_000]);
  });

  it('goes to each unicast peer, with a checksum for its own address', () => {
    const lab = startedActive({ unicastPeers: ['10.9.0.1', '10.9.0.3'], checksum: 'pseudo-header' });
    lab.receiver.unicast.length = 0;
    lab.loop.blockMs(300);
    expect(lab.receiver.unicast.map(({ destination }) => destination)).toEqual(['10.9.0.1', '10.9.0.3', '10.9.0.1', '10.9.0.3', '10.9.0.1', '10.9.0.3']);
    expect(new Set(lab.receiver.unicast.map(({ packet }) => packet.readUInt16BE(26))).size).toBe(2);
  });

  it('is counted', () => {
    const lab = startedActive();
    lab.loop.advanceMs(1_000);
    expect(lab.election.counters.advertisementsSent).toBe(lab.sender.adverts().length);
  });
});

describe('Active/asleep for more than three intervals', () => {
  it('yields to a successor of lower priority whose adverts wait in the socket', () => {
    const lab = startedActive();
    const sent = lab.sender.priorities().length;
    lab.loop.sleepMs(2_000);
    arrive(lab, { priority: 50 });
    lab.loop.advanceMs(1);
    expect(lab.election.status().state).toBe('Backup');
    expect(lab.sender.priorities().length).toBe(sent);
    // The announcement that is due as well would draw the successor's traffic here.
    expect(lab.external.arps()).toHaveLength(2);
    expect(lab.transitions.at(-1)?.reason).toBe('was-silent');
  });

  it('yields too when the socket is read before the timer runs', () => {
    const lab = startedActive();
    lab.loop.sleepMs(2_000);
    lab.receiver.emit('message', advertPacket({ priority: 50 }), { timestampNs: lab.loop.now });
    expect(lab.election.status().state).toBe('Backup');
  });

  it('goes on when nobody took over', () => {
    const lab = startedActive();
    const sent = lab.sender.priorities().length;
    lab.loop.sleepMs(2_000);
    lab.loop.advanceMs(1);
    expect(lab.election.status().state).toBe('Active');
    expect(lab.sender.priorities().length).toBe(sent + 1);
    expect(lab.external.arps()).toHaveLength(4);
  });

  it('asserts itself as ever when it was not', () => {
    const lab = startedActive();
    hear(lab, { priority: 50 });
    expect(lab.election.status().state).toBe('Active');
    expect(lab.sender.priorities()).toEqual([100, 100]);
  });
});

describe('adverts', () => {
  it('are refused with a counter each, and one notice', () => {
    const lab = setUp();
    lab.election.start();
    hear(lab, { ttl: 64 });
    hear(lab, { ttl: 64 });
    hear(lab, { source: '10.9.0.2' });
    hear(lab, { vrid: 7 });
    expect(lab.election.counters.invalid).toMatchObject({ ttl: 2, 'own-source': 1, vrid: 1, checksum: 0 });
    expect(lab.calls).toEqual(['backup', 'notice invalid-ttl', 'notice invalid-own-source']);
    expect(lab.election.status().lastAdvertisement).toBeUndefined();
  });

  it('that differ in interval or addresses are believed and noted', () => {
    const lab = setUp();
    lab.election.start();
    hear(lab, { intervalUs: 1_000_000, addresses: ['10.9.0.101'] });
    expect(lab.election.counters).toMatchObject({ advertisementsReceived: 1, intervalMismatches: 1, addressMismatches: 1 });
    expect(lab.calls).toEqual(['backup', 'notice interval', 'notice addresses']);
    lab.loop.advanceMs(3_000);
    expect(lab.election.status().state).toBe('Backup');
  });

  it('of another owner are noted by an owner', () => {
    const lab = setUp({ priority: 255 });
    lab.election.start();
    hear(lab, { priority: 255, source: '10.9.0.1' });
    expect(lab.election.counters.ownerConflicts).toBe(1);
  });

  it('are counted by the form of their checksum', () => {
    const lab = setUp();
    hear(lab);
    expect(lab.election.counters.checksumForms).toEqual({ message: 1, 'pseudo-header': 0 });
  });
});

describe('shutdown', () => {
  it('resigns, forwards until the successor is heard and 500 ms longer, then resolves', async () => {
    const lab = startedActive();
    let stopped = false;
    const done = lab.election.shutdown().then(() => void (stopped = true));
    expect(lab.sender.priorities().at(-1)).toBe(0);
    lab.loop.advanceMs(40);
    hear(lab, { priority: 50 });
    lab.loop.advanceMs(499);
    expect(lab.calls.at(-1)).toBe('draining');
    lab.loop.advanceMs(2);
    expect(lab.calls.at(-1)).toBe('initialize');
    await done;
    expect(stopped).toBe(true);
    expect(lab.election.counters.resignationsSent).toBe(1);
  });

  it('takes a second at most', async () => {
    const lab = startedActive();
    const done = lab.election.shutdown();
    lab.loop.advanceMs(999);
    expect(lab.calls.at(-1)).toBe('draining');
    lab.loop.advanceMs(2);
    expect(lab.calls.at(-1)).toBe('initialize');
    await done;
  });

  it('resolves at once in Backup', async () => {
    const lab = setUp();
    lab.election.start();
    await lab.election.shutdown();
    expect(lab.sender.frames).toEqual([]);
  });
});

describe('close', () => {
  it('leaves the data plane its role, and leaves no timer', () => {
    const lab = startedActive();
    const before = lab.calls.length;
    lab.election.close();
    lab.loop.advanceMs(5_000);
    expect(lab.calls.length).toBe(before);
    expect(lab.loop.timers).toBe(0);
    expect([lab.receiver.closed, lab.sender.closed]).toEqual([true, true]);
  });
});

describe('start/resume', () => {
  it('is Active at once, in the same term', () => {
    const lab = setUp();
    lab.election.start({ term: 7 });
    expect(lab.calls).toEqual(['lease', 'active 7', 'lease']);
    expect(lab.election.status()).toMatchObject({ state: 'Active', term: 7 });
  });
});

describe('reconfigure', () => {
  it('advertises the new priority at once', () => {
    const lab = startedActive();
    lab.election.reconfigure({ ...options, priority: 150 });
    expect(lab.sender.priorities()).toEqual([100, 150]);
  });

  it('refuses what no advert can carry, and keeps what it has', () => {
    const lab = startedActive();
    expect(() => lab.election.reconfigure({ ...options, advertisementIntervalUs: 15_000 })).toThrow(RangeError);
    expect(() => lab.election.reconfigure({ ...options, vrid: 52 })).toThrow('cannot become one for 52');
    lab.loop.advanceMs(100);
    expect(lab.sender.priorities()).toEqual([100, 100]);
  });

  it('is what the constructor refuses, too', () => {
    expect(() => setUp({ priority: 256 })).toThrow('priority must be a whole number from 0 to 255');
  });
});

describe('setPenalty', () => {
  it('advertises the lower priority at once, and says so', () => {
    const { election, loop, sender } = setUp();
    election.start();
    loop.advanceMs(DOWN_MS + 1);
    const before = sender.priorities().length;
    election.setPenalty(30);
    expect(sender.priorities().slice(before)).toEqual([70]);
    expect(election.status()).toMatchObject({ priority: 100, penalty: 30, effectivePriority: 70 });
    election.setPenalty(30);
    expect(sender.priorities().slice(before)).toEqual([70]);
  });

  it('renews the lease for the Backups that wait by the lower priority', () => {
    const { election, loop, leases } = setUp();
    election.start();
    loop.advanceMs(DOWN_MS + 1);
    election.setPenalty(99);
    expect(leases.at(-1)! - loop.now).toBe(leaseNs(3, 1, 100_000));
  });
});

describe('unicast peers', () => {
  it('get adverts through the IP stack, each with a checksum for its own address', () => {
    const lab = startedActive({ unicastPeers: ['10.9.0.1', '10.9.0.3'], checksum: 'pseudo-header' });
    expect(lab.receiver.unicast.map(({ destination }) => destination)).toEqual(['10.9.0.1', '10.9.0.3']);
    const checksums = lab.receiver.unicast.map(({ packet }) => packet.readUInt16BE(26));
    expect(new Set(checksums).size).toBe(2);
    expect(lab.sender.priorities()).toEqual([]);
  });

  it('are the only ones listened to', () => {
    const lab = setUp({ unicastPeers: ['10.9.0.3'] });
    lab.election.start();
    hear(lab, { source: '10.9.0.1' });
    expect(lab.election.counters.invalid['unexpected-source']).toBe(1);
  });
});

describe('announcements of many addresses', () => {
  const addresses = Array.from({ length: 100 }, (_, i) => 0x0a000200 + i);

  it('begin at once and go on in batches', () => {
    const lab = setUp();
    lab.external.frames.length = 0;
    const { election, external, loop } = setUp({}, { announce: [{ sender: lab.external, addresses: () => addresses }], clock: lab.loop });
    void external;
    void loop;
    election.start({ term: 1 });
    expect(lab.external.arps()).toHaveLength(2);
    lab.loop.advanceMs(1);
    expect(lab.external.arps()).toHaveLength(2 + 64);
    lab.loop.advanceMs(3);
    expect(new Set(lab.external.arps()).size).toBe(200);
  });

  it('end with the role', () => {
    const lab = setUp();
    const other = setUp({}, { announce: [{ sender: lab.external, addresses: () => addresses }] });
    other.election.start({ term: 1 });
    hear(other, { priority: 200 });
    other.loop.advanceMs(10);
    expect(lab.external.arps()).toHaveLength(2);
  });
});

describe('history', () => {
  it('keeps the newest transitions first, and no more than 32', () => {
    const lab = setUp();
    lab.election.start();
    for (let i = 0; i < 50; i++) lab.election.setFaulty(i % 2 === 0);
    const { history } = lab.election.status();
    expect(history).toHaveLength(32);
    expect(history[0]).toMatchObject({ from: 'Initialize', to: 'Backup', reason: 'fault-cleared' });
    expect(history[1]).toMatchObject({ from: 'Backup', to: 'Initialize', reason: 'fault' });
    expect(lab.election.counters.transitions).toMatchObject({ startup: 1, fault: 25, 'fault-cleared': 25 });
  });
});

describe('an event caused by an effect', () => {
  it('waits until the effects before it are done', () => {
    const order: string[] = [];
    const lab = setUp({}, {
      actions: {
        setRole: (role) => {
          order.push(role.role);
          if (role.role === 'active') lab.election.drain();
        },
        renewLease: () => order.push('lease'),
      },
    });
    lab.election.start({ term: 1 });
    expect(order).toEqual(['lease', 'active', 'lease', 'draining']);
    expect(lab.sender.priorities()).toEqual([100, 0]);
  });
});

describe('systemClock', () => {
  it('is never early, and keeps the order of deadlines', async () => {
    const startNs = systemClock.nowNs();
    const offsetsNs = [7_300_000n, 1_200_000n, 0n, 4_900_000n];
    const fired = await Promise.all(
      offsetsNs.map((offset) => new Promise<bigint>((resolve) => systemClock.schedule(startNs + offset, () => resolve(systemClock.nowNs() - startNs)))),
    );
    fired.forEach((atNs, i) => expect(atNs >= offsetsNs[i]!).toBe(true));
    const order = [...fired.keys()].sort((a, b) => Number(fired[a]! - fired[b]!));
    expect(order).toEqual([2, 1, 3, 0]);
  });

  it('does not call back after a cancellation', async () => {
    let called = false;
    const nowNs = systemClock.nowNs();
    for (const deadline of [nowNs, nowNs + 1_000_000n]) systemClock.schedule(deadline, () => void (called = true))();
    systemClock.afterInput(() => void (called = true))();
    await new Promise<void>((resolve) => systemClock.schedule(nowNs + 5_000_000n, resolve));
    expect(called).toBe(false);
  });
});
