// UDP sessions at a steady rate, each from a port of its own: a first datagram, and one more when it has long been established.
// usage: sender.mjs SOURCE ADDRESS PORT FIRST_PORT COUNT PER_SECOND
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const [source, address, ...numbers] = process.argv.slice(2);
const [port, firstPort, count, perSecond] = numbers.map(Number);
const MARK = 0x66676c61;
const restMs = 300;

function datagram(internalPort, number) {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32BE(MARK, 0);
  bytes.writeUInt16BE(internalPort, 4);
  bytes.writeUInt16BE(number, 6);
  return bytes;
}

async function session(internalPort) {
  const socket = createSocket('udp4');
  socket.on('error', () => {}); // its datagrams have no stamps, which is counted
  socket.bind(internalPort, source);
  await once(socket, 'listening');
  // Two that nobody stamps in between: whatever the answer changes is told by them.
  for (const number of [0, 2, 3, 1]) {
    socket.send(datagram(internalPort, number), port, address);
    await delay(restMs);
  }
  socket.close();
}

const startedMs = performance.now();
const running = [];
for (let begun = 0; begun < count; begun++) {
  const dueMs = startedMs + (begun * 1000) / perSecond;
  // Late ones follow one by one, so that no burst stands for a rate.
  await delay(Math.max(1, dueMs - performance.now()));
  running.push(session(firstPort + begun));
}
await Promise.all(running);
