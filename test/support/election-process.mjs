/**
 * An election in a process of its own, because a network namespace belongs to a
 * process: `node election-process.mjs '{"interface": …, "options": …}'`.
 *
 * Writes what the election does as lines of JSON, stamped with CLOCK_MONOTONIC;
 * takes `shutdown`, `drain`, `undrain`, `status` and `reconfigure {…}`, with options that
 * differ from the first, as lines; ends with its standard input.
 */
import { createInterface } from 'node:readline';
import { Repeater, interfaceIndex } from 'libbpf-ts';
import { Election } from '../../dist/vrrp/election.js';
import { parseIpv4 } from '../../dist/vrrp/ipv4.js';
import { repeatByThread } from '../../dist/vrrp/repetition.js';
import { openElectionInterface } from '../../dist/vrrp/sockets.js';

const { interface: interfaceName, options } = JSON.parse(process.argv[2]);
const now = () => process.hrtime.bigint();
const tell = (message) => process.stdout.write(`${JSON.stringify(message, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`);

const repeater = new Repeater();
const messageOf = (advert) => ({ interface: interfaceIndex(interfaceName), ...advert });
const sockets = { ...openElectionInterface(interfaceName).socketsOf(options.vrid), repeat: (start) => repeatByThread(repeater, start, messageOf) };
const election = new Election({
  options,
  synchronised: true,
  sockets,
  announce: [{ sender: sockets.sender, addresses: () => options.addresses.map(parseIpv4) }],
  actions: {
    setRole: (role) => tell({ type: 'role', ...role, atNs: now(), heard: election.status().lastAdvertisement }),
    renewLease: () => {},
    transition: ({ from, to, reason }) => tell({ type: 'transition', from, to, reason, atNs: now() }),
    notice: (kind, sentence) => tell({ type: 'notice', kind, sentence }),
  },
});

const commands = {
  shutdown: () => election.shutdown().then(() => tell({ type: 'stopped', atNs: now() })),
  drain: () => election.drain(),
  undrain: () => election.undrain(),
  reconfigure: (change) => election.reconfigure({ ...options, ...JSON.parse(change) }),
  status: () => tell({ type: 'status', ...election.status() }),
};
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command, ...rest] = line.split(' ');
    commands[command](rest.join(' '));
  })
  .on('close', () => process.exit());
election.start();
