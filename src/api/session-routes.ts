/** The part of the local API that is about sessions and floating IPs. */
import type { FastifyInstance } from 'fastify';
import { floatingIpParameters } from './floating-ip-query.js';
import type { FloatingIpQuery } from './floating-ip-query.js';
import type { FloatingIpPage } from './floating-ips.js';
import { ApiMistake, parseQuery } from './query.js';
import { countParameters, filterParameters, hasFilter, killParameters, listParameters } from './session-query.js';
import type { CountQuery, KillQuery, ListQuery } from './session-query.js';
import type { SessionCount, SessionPage, SessionsKilled } from './sessions.js';

export interface SessionActions {
  sessions(query: ListQuery): Promise<SessionPage>;
  countSessions(query: CountQuery): Promise<SessionCount>;
  killSessions(query: KillQuery): Promise<SessionsKilled>;
  floatingIps(query: FloatingIpQuery): Promise<FloatingIpPage>;
}

export function addSessionRoutes(server: FastifyInstance, actions: SessionActions): void {
  server.get('/sessions', async ({ query }) => actions.sessions(parseQuery(listParameters, query)));
  server.get('/sessions/count', async ({ query }) => actions.countSessions(parseQuery(countParameters, query)));
  server.post('/sessions/kill', async ({ query }) => {
    const parsed = parseQuery(killParameters, query);
    // Nobody means all of them by saying nothing.
    if (!hasFilter(parsed)) throw new ApiMistake(`which sessions to kill is not said: one of ${filterParameters.join(', ')} is needed`);
    return actions.killSessions(parsed);
  });
  server.get('/floating-ips', async ({ query }) => actions.floatingIps(parseQuery(floatingIpParameters, query)));
}
