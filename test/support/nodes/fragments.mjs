// One UDP datagram to an echo, its fragments in an order of our own: is it put together and answered?
// usage: fragments.mjs SOURCE ADDRESS PORT ORDER      ORDER: such as 210, the last one first
import { createSocket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { RawSocket } from 'libbpf-ts';

const [source, address, port, order] = process.argv.slice(2);
const patienceMs = 3000;
const endpointBytes = 6;
const fragmentBytes = 1400;
const moreFragments = 0x2000;
const payload = randomBytes(fragmentBytes * order.length - 8);
const identification = 1 + Math.floor(Math.random() * 0xfffe);

const socket = createSocket('udp4');
socket.bind(0, source, () => {
  const datagram = datagramFrom(socket.address().port);
  const raw = new RawSocket({ protocol: 17, headerIncluded: true });
  for (const digit of order) raw.send(fragment(datagram, Number(digit)), address);
  raw.close();
});
const late = setTimeout(() => fail(`no echo from ${address} to fragments in the order ${order} within ${patienceMs} ms`), patienceMs);
socket.on('message', (echo) => {
  clearTimeout(late);
  if (!echo.subarray(0, -endpointBytes).equals(payload)) fail('the echo has other bytes');
  socket.close();
});

function datagramFrom(sourcePort) {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(Number(port), 2);
  header.writeUInt16BE(8 + payload.length, 4);
  const pseudo = Buffer.concat([addressBytes(source), addressBytes(address), Buffer.from([0, 17]), header.subarray(4, 6)]);
  header.writeUInt16BE(checksum(Buffer.concat([pseudo, header, payload])) || 0xffff, 6);
  return Buffer.concat([header, payload]);
}

/** The kernel fills in total length and checksum. */
function fragment(datagram, index) {
  const part = datagram.subarray(index * fragmentBytes, (index + 1) * fragmentBytes);
  const isLast = (index + 1) * fragmentBytes >= datagram.length;
  const header = Buffer.from([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, ...addressBytes(source), ...addressBytes(address)]);
  header.writeUInt16BE(identification, 4);
  header.writeUInt16BE((isLast ? 0 : moreFragments) | ((index * fragmentBytes) / 8), 6);
  return Buffer.concat([header, part]);
}

function checksum(bytes) {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

function addressBytes(text) {
  return Buffer.from(text.split('.').map(Number));
}

function fail(reason) {
  console.error(reason);
  process.exit(1);
}
