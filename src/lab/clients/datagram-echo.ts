// UDP echo that also tells the sender how it was seen: payload, then 4 bytes of address and 2 of port.
// usage: datagram-echo ADDRESS PORT
import { createSocket } from 'node:dgram';
import { argument } from './control.js';
import { encodeEndpoint } from './endpoint.js';

const socket = createSocket('udp4');
socket.on('message', (payload, peer) => {
  socket.send(Buffer.concat([payload, encodeEndpoint(peer.address, peer.port)]), peer.port, peer.address);
});
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
socket.bind(Number(argument(2, 'PORT')), argument(1, 'ADDRESS'));
