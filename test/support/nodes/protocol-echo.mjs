// Answers packets of an IPv4 protocol that has no ports with their own payload. Prints 'ready'.
// usage: protocol-echo.mjs PROTOCOL
import { RawSocket } from 'libbpf-ts';

const socket = new RawSocket({ protocol: Number(process.argv[2]) });
socket.on('message', (packet) => socket.send(payloadOf(packet), [...packet.subarray(12, 16)].join('.')));
console.log('ready');

function payloadOf(packet) {
  return packet.subarray((packet[0] & 0xf) * 4);
}
