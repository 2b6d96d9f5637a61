import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../../src/config/configuration.js';
import type { Track } from '../../../src/config/schema.js';
import { trackName } from '../../../src/config/tracking.js';
import { exampleWith } from './example.js';

const first = 'preemptDelay: 0s }';

/** The example whose virtual router has these keys more, with more virtual routers after it. */
function configured(keys: string, more = '') {
  return parseConfiguration(exampleWith(first, `preemptDelay: 0s, ${keys} }${more}`), 'gw.yaml');
}

function second(keys: string, priority = 200): string {
  return `\n  - { vrid: 52, address: 192.168.33.101, priority: ${priority}, advertisementInterval: 100ms, ${keys} }`;
}

function tracks(keys: string, more = ''): (readonly Track[])[] {
  const { configuration, errors } = configured(keys, more);
  expect(errors?.map(({ message }) => message)).toBeUndefined();
  return configuration!.virtualRouters.map(({ track }) => track);
}

describe('track', () => {
  it('defaults/a loss of the gateway is noticed within 2 s', () => {
    const [[gateway]] = tracks('track: [ { gateway: { address: 10.0.2.1 } } ]') as [[Track]];
    expect(gateway).toEqual({ kind: 'gateway', address: 0x0a000201, by: 'arp', interval: 500, timeout: 500, rise: 3, fall: 3 });
  });

  it('defaults/a timeout is an interval', () => {
    expect(tracks('track: [ { gateway: { address: 10.0.2.1, interval: 20ms } }, { script: { command: [/bin/true], interval: 1s } } ]')[0]).toMatchObject([
      { kind: 'gateway', interval: 20, timeout: 20 },
      { kind: 'script', interval: 1000, timeout: 1000, user: 'nobody', rise: 2, fall: 2 },
    ]);
  });

  it('names/are kind and target', () => {
    const [own] = tracks('track: [ { link: { name: ens7, weight: 5 } }, { gateway: { address: 10.0.2.1, by: icmp } }, { script: { command: [/bin/check, -q] } } ]');
    expect(own!.map(trackName)).toEqual(['link ens7', 'gateway 10.0.2.1', 'script /bin/check -q']);
  });
});

describe('syncGroup', () => {
  it('what one tracks all track, with the weight that does more', () => {
    const [one, other] = tracks(
      'syncGroup: all, track: [ { link: { name: ens7, weight: 5 } }, { link: { name: ens8, weight: 5 } }, { link: { name: ens9 } } ]',
      second('syncGroup: all, track: [ { link: { name: ens7, weight: 50 } }, { link: { name: ens8 } }, { link: { name: ens10 } } ]'),
    );
    const weights = (of: readonly Track[]): unknown => Object.fromEntries(of.map((track) => [trackName(track), track.weight]));
    expect(weights(one!)).toEqual({ 'link ens7': 50, 'link ens8': undefined, 'link ens9': undefined, 'link ens10': undefined });
    expect(weights(other!)).toEqual(weights(one!));
  });

  it('of another name/shares nothing', () => {
    const [one, other] = tracks('syncGroup: all, track: [ { link: { name: ens7 } } ]', second('syncGroup: others'));
    expect([one!.length, other!.length]).toEqual([1, 0]);
  });

  it('of one virtual router/is warned of', () => {
    const result = configured('syncGroup: all');
    expect('warnings' in result && result.warnings?.map(({ message }) => message)).toEqual([expect.stringContaining('virtualRouters[0].syncGroup is all, but no other virtual router is in it.')]);
  });
});

describe('refused', () => {
  it.each<[string, string, string, string]>([
    ['no kind', 'track: [ {} ]', '', 'virtualRouters[0].track[0] has none of the keys link, gateway and script, but must have exactly one.'],
    ['two kinds', 'track: [ { link: { name: ens7 }, gateway: { address: 10.0.2.1 } } ]', '', 'virtualRouters[0].track[0] has link and gateway of the keys link, gateway and script, but must have exactly one.'],
    ['twice', 'track: [ { link: { name: ens7 } }, { link: { name: ens7, weight: 3 } } ]', '', 'virtualRouters[0].track[1].link must be tracked once, but an earlier entry tracks the same in the same way.'],
    ['a weight of nothing', 'track: [ { link: { name: ens7, weight: 0 } } ]', '', 'virtualRouters[0].track[0].link.weight is 0, but must be a whole number from 1 to 253.'],
    ['a timeout beyond the interval', 'track: [ { gateway: { address: 10.0.2.1, interval: 100ms, timeout: 200ms } } ]', '', 'virtualRouters[0].track[0].gateway.timeout is 200ms, but must be at most the interval, 100ms.'],
    ['a command without a path', 'track: [ { script: { command: [check] } } ]', '', 'virtualRouters[0].track[0].script.command is a list, but must be a list of a program, by its absolute path, and its arguments, at most 64 in all'],
    ['a user that is none', 'track: [ { script: { command: [/bin/true], user: "a b" } } ]', '', "virtualRouters[0].track[0].script.user is \"a b\", but must be a user's name"],
    ['members that disagree', 'syncGroup: all', second('syncGroup: all', 150), 'virtualRouters[1].priority is 150, but must be as in virtualRouters[0], which is in the same syncGroup.'],
    ['a notification to nobody', 'syncGroup: all', `${second('syncGroup: all')}\nnotify: { timeout: 1s }`, 'notify says nobody to tell: it must have a command or a fifo.'],
  ])('%s', (_, keys, more, message) => {
    expect(configured(keys, more).errors?.map((error) => error.message)).toEqual([expect.stringContaining(message)]);
  });

  it('a weight of the owner', () => {
    const text = exampleWith('priority: 200', 'track: [ { link: { name: ens7, weight: 3 } } ], priority: 255');
    expect(parseConfiguration(text, 'gw.yaml').errors?.map(({ message }) => message)).toEqual([expect.stringContaining('virtualRouters[0].track[0].link.weight is 3, but with priority 255, which never changes, there must be none')]);
  });
});
