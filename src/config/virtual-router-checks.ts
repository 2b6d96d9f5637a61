import type { Ipv4Address } from './address.js';
import type { Check } from './check.js';
import type { KeyPath } from './problem.js';
import type { WrittenConfiguration, WrittenVirtualRouter } from './schema.js';

export function checkVirtualRouters({ virtualRouters, peer }: WrittenConfiguration, check: Check): void {
  check.unique(virtualRouters.map(({ vrid }, index) => [['virtualRouters', index, 'vrid'], vrid]));
  check.unique(virtualRouters.map(({ address }, index) => [['virtualRouters', index, 'address'], address]));
  virtualRouters.forEach((router, index) => {
    const { address, priority, preempt, unicastPeers } = router;
    const at = ['virtualRouters', index];
    const peers = unicastPeers.map((one, peerIndex): [KeyPath, Ipv4Address] => [[...at, 'unicastPeers', peerIndex], one]);
    check.unique([[[...at, 'address'], address], ...peers], ' within the virtual router');
    if (address === peer?.address) check.conflict([...at, 'address'], "is {value}, but must differ from the peer's own address");
    // RFC 9568 §6.1: the owner always preempts, whatever Preempt_Mode says.
    if (priority === 255 && !preempt) check.conflict([...at, 'preempt'], 'is {value}, but with priority 255 it must be true');
    if (router.version === 2) checkVersion2(router, at, check);
    else if (router.authentication !== undefined) check.conflict([...at, 'authentication'], 'is given, but needs version 2: version 3 has no authentication (RFC 9568 §9)');
  });
}

const SECOND_US = 1_000_000;
/** RFC 3768 §5.3.7: one byte, of seconds. */
const LONGEST_V2_INTERVAL_US = 255 * SECOND_US;

function checkVersion2({ advertisementInterval, checksum }: WrittenVirtualRouter, at: KeyPath, check: Check): void {
  if (advertisementInterval % SECOND_US !== 0 || advertisementInterval > LONGEST_V2_INTERVAL_US) {
    check.conflict([...at, 'advertisementInterval'], 'is {value}, but with version 2 it must be whole seconds from 1s to 255s');
  }
  if (checksum !== 'message') check.conflict([...at, 'checksum'], 'is {value}, but with version 2 it must be message');
}
