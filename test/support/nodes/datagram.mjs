// One UDP datagram of random bytes to an echo: do all of them come back? Prints the source that the echo saw.
// usage: datagram.mjs ADDRESS PORT BYTES [SOURCE-PORT]
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';

const [address, port, bytes, sourcePort = '0'] = process.argv.slice(2);
const patienceMs = 3000;
const endpointBytes = 6;
const payload = randomBytes(Number(bytes));
const socket = createSocket('udp4');
const late = setTimeout(() => fail(`no echo of ${bytes} bytes from ${address} within ${patienceMs} ms`), patienceMs);

socket.on('message', (echo) => {
  clearTimeout(late);
  if (!echo.subarray(0, -endpointBytes).equals(payload)) fail('the echo has other bytes');
  const seen = echo.subarray(-endpointBytes);
  console.log([...seen.subarray(0, 4)].join('.'));
  socket.close();
});
socket.on('error', (error) => fail(error.message));
socket.bind(Number(sourcePort), () => socket.send(payload, Number(port), address));

function fail(reason) {
  console.error(reason);
  process.exit(1);
}
