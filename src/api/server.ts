/** The local API: HTTP and JSON on a unix socket that only root can open. */
import { chmodSync, existsSync, rmSync } from 'node:fs';
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { answers } from './answers.js';
import { addSessionRoutes } from './session-routes.js';
import type { SessionActions } from './session-routes.js';
import type { Status } from './status.js';

export interface ApiActions extends SessionActions {
  status(): Status;
  /** Every reason, also those that are zero. */
  counters(): Status['counters'];
  /** Hands over what is Active and stays Backup until `undrain`. Resolves when done. */
  drain(): Promise<void>;
  undrain(): Promise<void>;
  /** Reads the configuration again. @throws Error when it is refused; the last good one stays in force. */
  reload(): Promise<{ readonly changes: number }>;
}

/** An answer to a request that cannot be followed now: HTTP 409. */
export class ApiConflict extends Error {
  readonly statusCode = 409;
}

export function buildApi(actions: ApiActions): FastifyInstance {
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.get('/status', async () => actions.status());
  server.get('/counters', async () => actions.counters());
  server.post('/drain', async () => {
    await actions.drain();
    return { draining: true };
  });
  server.post('/undrain', async () => {
    await actions.undrain();
    return { draining: false };
  });
  server.post('/reload', async (_request, reply) => {
    try {
      return await actions.reload();
    } catch (error) {
      return reply.status(422).send({ error: error instanceof Error ? error.message : String(error) });
    }
  });
  addSessionRoutes(server, actions);
  return server;
}

/**
 * Listens on `path`. The socket of a daemon that was killed is taken over; that
 * of one that answers is not.
 * @throws Error naming the socket when another daemon answers on it.
 */
export async function listenOnSocket(server: FastifyInstance, path: string): Promise<void> {
  if (existsSync(path)) {
    if (await answers(path)) throw new Error(`another floatgate answers on ${path}: one daemon per state directory`);
    rmSync(path);
  }
  await server.listen({ path });
  chmodSync(path, 0o600);
}
