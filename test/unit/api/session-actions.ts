import type { SessionActions } from '../../../src/api/session-routes.js';

/** Actions that note what they are asked, and answer next to nothing. */
export function sessionActions(calls: unknown[]): SessionActions {
  return {
    sessions: async (query) => {
      calls.push(query);
      return { sessions: [], next: 'm7' };
    },
    countSessions: async (query) => {
      calls.push(query);
      return { sessions: 3 };
    },
    killSessions: async (query) => {
      calls.push(query);
      return { killed: 2, notActiveHere: 0 };
    },
    floatingIps: async (query) => {
      calls.push(query);
      return { floatingIps: [] };
    },
  };
}
