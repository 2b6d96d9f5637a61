// One packet of an IPv4 protocol to an echo. Prints the source of the answer.
// usage: protocol-ask.mjs PROTOCOL ADDRESS
import { randomBytes } from 'node:crypto';
import { RawSocket } from 'libbpf-ts';

const [protocol, address] = process.argv.slice(2);
const patienceMs = 3000;
const payload = randomBytes(64);
const socket = new RawSocket({ protocol: Number(protocol) });
const late = setTimeout(() => {
  console.error(`no answer of protocol ${protocol} from ${address} within ${patienceMs} ms`);
  process.exit(1);
}, patienceMs);

socket.on('message', (packet) => {
  if (!packet.subarray((packet[0] & 0xf) * 4).equals(payload)) return;
  clearTimeout(late);
  console.log([...packet.subarray(12, 16)].join('.'));
  socket.close();
});
socket.send(payload, address);
