/** The local API: HTTP and JSON on a unix socket that only root can open. */
import { chmodSync, existsSync, rmSync } from 'node:fs';
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { answers } from './answers.js';
import { parseQuery, text, wholeNumbers, yes } from './query.js';
import { addSessionRoutes } from './session-routes.js';
import type { SessionActions } from './session-routes.js';
import type { DrainAnswer, RouterStatus, Status } from './status.js';

export interface ApiActions extends SessionActions {
  status(): Status;
  /** All tenants' routers, or the one of that name. */
  routers(name: string | undefined): readonly RouterStatus[];
  /** Every reason, also those that are zero. */
  counters(): Status['counters'];
  /** Hands over what is Active, of these or of all, and keeps it out of the election until `undrain`. Resolves when done, with the VRIDs. */
  drain(request: { readonly vrids: readonly number[] | undefined; readonly force: boolean }): Promise<readonly number[]>;
  /** Of these or of all. Resolves with the VRIDs that were drained. */
  undrain(vrids: readonly number[] | undefined): Promise<readonly number[]>;
  /** Reads the configuration again. @throws Error when it is refused; the last good one stays in force. */
  reload(): Promise<{ readonly changes: number }>;
}

/** An answer to a request that cannot be followed now: HTTP 409. */
export class ApiConflict extends Error {
  readonly statusCode = 409;
}

const routersParameters = { name: text('the name of a router', (value) => value).optional() };
const undrainParameters = { vrid: wholeNumbers(1, 255).optional() };
const drainParameters = { ...undrainParameters, force: yes().optional() };

export function buildApi(actions: ApiActions): FastifyInstance {
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.get('/status', async () => actions.status());
  server.get('/routers', async ({ query }) => actions.routers(parseQuery(routersParameters, query).name));
  server.get('/counters', async () => actions.counters());
  server.post('/drain', async ({ query }): Promise<DrainAnswer> => {
    const { vrid: vrids, force = false } = parseQuery(drainParameters, query);
    return { draining: true, virtualRouters: await actions.drain({ vrids, force }) };
  });
  server.post('/undrain', async ({ query }): Promise<DrainAnswer> => {
    const { vrid: vrids } = parseQuery(undrainParameters, query);
    return { draining: false, virtualRouters: await actions.undrain(vrids) };
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
