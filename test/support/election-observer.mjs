/**
 * Listens to an election at a switch, which belongs to neither gateway:
 * `node election-observer.mjs BRIDGE VIRTUAL_MAC`, in the switch's namespace.
 *
 * Notes adverts by the kernel's time of their arrival, and the port on which
 * the switch has learned the virtual MAC; asks a port for an address.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { ETHERTYPE_ALL, PacketSocket } from 'libbpf-ts';
import { monotonicMs } from '../../dist/lab/clock.js';
import { argument, serveCommands } from '../../dist/lab/clients/control.js';

const bridge = argument(1, 'BRIDGE');
const virtualMac = argument(2, 'VIRTUAL_MAC');

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const PROTOCOL_VRRP = 112;
const VRRP_GROUP = '224.0.0.18';
/** Longer than any gateway takes that means to answer. */
const patienceMs = 300;
/** A probe of RFC 5227: it has no source address, and so changes nobody's entry. */
const askerMac = '02000000fe01';

const adverts = [];
const moves = [];

/** A bridge hands multicast to its machine, too; unicast, which is the load, it does not. */
const socket = new PacketSocket({ interface: bridge, protocol: ETHERTYPE_IPV4 });
socket.on('frame', (frame, { timestampNs }) => {
  if (frame.length < 34 || frame[23] !== PROTOCOL_VRRP || frame.subarray(30, 34).join('.') !== VRRP_GROUP) return;
  adverts.push({ atMs: Number(timestampNs) / 1e6, source: frame.subarray(26, 30).join('.') });
});
socket.on('error', (error) => console.error(error.message));

/** The kernel tells when an address appears on a port or moves to another, not when it is seen there again. */
const monitor = spawn('bridge', ['monitor', 'fdb'], { stdio: ['ignore', 'pipe', 'inherit'] });
createInterface({ input: monitor.stdout }).on('line', (line) => {
  const [mac, , port] = line.split(' ');
  if (mac === virtualMac && port !== moves.at(-1)?.port) moves.push({ atMs: monotonicMs(), port });
});
process.once('exit', () => monitor.kill());

/** Whether who is behind `port` answers for an IPv4 address. By that port alone, so that nobody else can. */
async function ask({ port, address }) {
  const target = Buffer.from(address.split('.').map(Number));
  const asking = new PacketSocket({ interface: port, protocol: ETHERTYPE_ALL });
  let answered = false;
  asking.on('error', () => {});
  asking.on('frame', (frame, { packetType }) => {
    const isReply = packetType !== 'outgoing' && frame.length >= 42 && frame.readUInt16BE(12) === ETHERTYPE_ARP && frame.readUInt16BE(20) === 2;
    answered ||= isReply && frame.subarray(28, 32).equals(target);
  });
  asking.send(Buffer.concat([Buffer.from(`ffffffffffff${askerMac}08060001080006040001${askerMac}00000000000000000000`, 'hex'), target]));
  const end = monotonicMs() + patienceMs;
  while (!answered && monotonicMs() < end) await delay(5);
  asking.close();
  return { answered };
}

const within = (events, { fromMs, toMs }) => events.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);

serveCommands({ heard: (args) => ({ adverts: within(adverts, args), moves: within(moves, args) }), ask });
