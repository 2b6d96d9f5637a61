import { describe, expect, it } from 'vitest';
import { parseIpv4 } from '../../../src/config/address.js';
import { parseConfiguration } from '../../../src/config/configuration.js';
import { electionOptions } from '../../../src/gateway/election-options.js';
import { describeVirtualRouter } from '../../../src/vrrp/options.js';
import type { VirtualRouter } from '../../../src/vrrp/options.js';
import { parseIpv4 as electionAddress } from '../../../src/vrrp/ipv4.js';
import { exampleWith } from '../config/example.js';

/** The election of the example's virtual router, with these keys instead of `preempt: true`. */
function electionWith(keys: string, interval = '100ms'): VirtualRouter {
  const { configuration, errors } = parseConfiguration(exampleWith('advertisementInterval: 100ms, preempt: true', `advertisementInterval: ${interval}, ${keys}`), 'gw.yaml');
  if (configuration === undefined) throw new Error(errors.map(({ message }) => message).join('\n'));
  return describeVirtualRouter(electionOptions(configuration.virtualRouters[0]!, parseIpv4('192.168.33.11')!));
}

describe('the election of a configuration', () => {
  it('default/checksums of RFC 9568, multicast', () => {
    expect(electionWith('preempt: true')).toMatchObject({ vrid: 51, checksum: 'message', unicastPeers: undefined });
  });

  it('checksum/the form that is sent', () => {
    expect(electionWith('checksum: pseudo-header').checksum).toBe('pseudo-header');
  });

  it('unicastPeers/sent to them, and taken from them alone', () => {
    const peers = [electionAddress('192.168.33.12'), electionAddress('192.168.33.13')];
    expect(electionWith('unicastPeers: [ 192.168.33.12, 192.168.33.13 ]')).toMatchObject({ unicastPeers: peers, expectation: { unicastPeers: peers } });
  });

  it('version/3 unless it is said', () => {
    expect(electionWith('preempt: true')).toMatchObject({ machine: { version: 3 }, expectation: { version: 3, authentication: { type: 'none' } } });
  });

  it('version 2/with its password, whole seconds', () => {
    const router = electionWith("version: 2, authentication: 'secret'", '2s');
    const authentication = { type: 'simple-text', password: 'secret' };
    expect(router).toMatchObject({ authentication, machine: { version: 2, advertisementIntervalUs: 2_000_000 }, expectation: { version: 2, intervalUs: 2_000_000, authentication } });
  });

  it('intervals/in microseconds', () => {
    expect(electionWith('preempt: false').machine).toMatchObject({ advertisementIntervalUs: 100_000, preemptDelayUs: 0, preempt: false, priority: 200 });
  });
});
