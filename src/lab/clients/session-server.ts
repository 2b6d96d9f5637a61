// Echoes every byte of every TCP connection, and keeps a running hash of what came and from where.
// usage: session-server ADDRESS PORT      commands: report
import { createHash, type Hash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { argument, serveCommands } from './control.js';
import { sessionIdOf } from './pattern.js';

interface Connection {
  readonly peer: string;
  readonly hash: Hash;
  head: Buffer;
  bytes: number;
  error: string | undefined;
  ended: boolean;
}

export interface ConnectionReport {
  readonly id: number;
  /** 'address:port' as seen by accept(2). */
  readonly peer: string;
  readonly bytes: number;
  /** Of everything received. */
  readonly sha256: string;
  readonly error?: string;
  /** The client has closed in order (FIN, not RST). */
  readonly ended: boolean;
}

const connections: Connection[] = [];

function accept(socket: Socket): void {
  const connection: Connection = { peer: `${socket.remoteAddress}:${socket.remotePort}`, hash: createHash('sha256'), head: Buffer.alloc(0), bytes: 0, error: undefined, ended: false };
  connections.push(connection);
  socket.setNoDelay(true);
  socket.on('data', (data) => {
    if (connection.head.length < 4) connection.head = Buffer.concat([connection.head, data.subarray(0, 4)]);
    connection.hash.update(data);
    connection.bytes += data.length;
    socket.write(data);
  });
  socket.on('end', () => {
    connection.ended = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    connection.error = error.code ?? error.message;
  });
}

function report(): { connections: ConnectionReport[] } {
  const told = connections.filter(({ head }) => head.length >= 4);
  return {
    connections: told.map(({ head, peer, bytes, hash, error, ended }) => ({
      id: sessionIdOf(head),
      peer,
      bytes,
      sha256: hash.copy().digest('hex'),
      ...(error === undefined ? {} : { error }),
      ended,
    })),
  };
}

const server = createServer(accept);
server.listen({ host: argument(1, 'ADDRESS'), port: Number(argument(2, 'PORT')), backlog: 1024 });
const listening = new Promise<void>((resolve) => server.once('listening', resolve));
serveCommands({ ready: () => listening, report });
