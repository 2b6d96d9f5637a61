// The crowd: sends a tunnelled datagram of every session, and marks those that an answer arrives for, at the right VM.
// usage: vms SESSIONS PER_SECOND SERVER VIP     commands: send {done}, answered, forget
import { createSocket } from 'node:dgram';
import { argument, serveCommands } from '../../src/lab/clients/control.js';
import { ENDPOINT, GATEWAY_MAC, Marks, paced, sessionOf } from './crowd.js';

const GENEVE_PORT = 6081;
const GENEVE_BYTES = 8;
const INNER = GENEVE_BYTES;
const IP = INNER + 14;
const UDP = IP + 20;
const PAYLOAD = UDP + 8;
const size = Number(argument(1, 'SESSIONS'));
const perSecond = Number(argument(2, 'PER_SECOND'));
const server = numberOf(argument(3, 'SERVER'));
const vip = argument(4, 'VIP');

let answered = new Marks(size);
let wrong = 0;

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function packetOf(index: number): Buffer {
  const { vni, address, port, serverPort } = sessionOf(index);
  const bytes = Buffer.alloc(PAYLOAD + 4);
  bytes.writeUInt16BE(0x6558, 2);
  bytes.writeUIntBE(vni, 4, 3);
  bytes.write(GATEWAY_MAC, INNER, 'hex');
  bytes.writeUIntBE(0xfa16_0000_0000 + (address & 0xffff), INNER + 6, 6);
  bytes.writeUInt16BE(0x0800, INNER + 12);
  bytes.writeUInt16BE(0x4500, IP);
  bytes.writeUInt16BE(bytes.length - IP, IP + 2);
  bytes.writeUInt16BE(64 << 8 | 17, IP + 8);
  bytes.writeUInt32BE(address, IP + 12);
  bytes.writeUInt32BE(server, IP + 16);
  bytes.writeUInt16BE(checksum(bytes.subarray(IP, UDP)), IP + 10);
  bytes.writeUInt16BE(port, UDP);
  bytes.writeUInt16BE(serverPort, UDP + 2);
  bytes.writeUInt16BE(bytes.length - UDP, UDP + 4);
  bytes.writeUInt32BE(index, PAYLOAD);
  return bytes;
}

/** RFC 1071. */
function checksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const socket = createSocket('udp4');
socket.on('error', (error) => console.error(error.message));
socket.on('message', (bytes) => {
  const ip = IP + (bytes[0]! & 0x3f) * 4;
  if (bytes.length < ip + 32) return;
  const index = bytes.readUInt32BE(ip + 28);
  const { vni, address, port, serverPort } = sessionOf(index);
  const isRight = index < size && bytes.readUIntBE(4, 3) === vni && bytes.readUInt32BE(ip + 16) === address && bytes.readUInt16BE(ip + 22) === port
    && bytes.readUInt32BE(ip + 12) === server && bytes.readUInt16BE(ip + 20) === serverPort;
  if (isRight) answered.add(index);
  else wrong += 1;
});
socket.bind(GENEVE_PORT, ENDPOINT);

serveCommands({
  send: async ({ done }) => ({ sent: await paced(size, new Marks(size, String(done)), perSecond, (index) => socket.send(packetOf(index), GENEVE_PORT, vip, () => {})) }),
  answered: () => ({ count: answered.count, wrong, marks: answered.toString() }),
  forget: () => void (answered = new Marks(size)),
});
