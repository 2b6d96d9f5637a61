// Whom the crowd talks to: notes how it sees every session, and answers each exactly there when it is told to.
// usage: server SESSIONS PER_SECOND ADDRESS     commands: seen, answer {done, step}
import { createSocket } from 'node:dgram';
import { argument, serveCommands } from '../../src/lab/clients/control.js';
import { Marks, paced, SERVER_PORTS, sessionOf } from './crowd.js';

const size = Number(argument(1, 'SESSIONS'));
const perSecond = Number(argument(2, 'PER_SECOND'));
const address = argument(3, 'ADDRESS');
const seen = new Marks(size);
const addresses: string[] = [];
const ports = new Uint16Array(size);
/** Seen from another port than before. */
let moved = 0;

const sockets = new Map(SERVER_PORTS.map((port) => {
  const socket = createSocket('udp4');
  socket.on('error', (error) => console.error(error.message));
  socket.on('message', (bytes, peer) => {
    const index = bytes.readUInt32BE(0);
    if (seen.has(index) && (addresses[index] !== peer.address || ports[index] !== peer.port)) moved += 1;
    seen.add(index);
    addresses[index] = peer.address;
    ports[index] = peer.port;
  });
  socket.bind(port, address);
  return [port, socket] as const;
}));

serveCommands({
  seen: () => ({ count: seen.count, moved, marks: seen.toString() }),
  answer: async ({ done, step }) => {
    const payload = Buffer.alloc(4);
    const send = (index: number): void => {
      if (!seen.has(index)) return;
      payload.writeUInt32BE(index, 0);
      sockets.get(sessionOf(index).serverPort)!.send(Buffer.from(payload), ports[index]!, addresses[index]!, () => {});
    };
    return { sent: await paced(size, new Marks(size, String(done)), perSecond, send, Number(step)) };
  },
});
