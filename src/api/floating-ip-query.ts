/** What can be asked about floating IPs. */
import { z } from 'zod';
import { parseIpv4 } from '../config/address.js';
import type { Ipv4Address } from '../config/address.js';
import { address, text, wholeNumber } from './query.js';
import { PAGE_LIMIT } from './session-query.js';

/** The last one of a page: one address can be in several VLANs, of different routers. */
export interface FloatingIpCursor {
  readonly address: Ipv4Address;
  readonly router: string;
}

const cursor = text('what an earlier page gave as next', (value): FloatingIpCursor | undefined => {
  const [, before = '', router] = /^([^/]*)\/(.+)$/.exec(value) ?? [];
  const parsed = parseIpv4(before);
  return parsed === undefined || router === undefined ? undefined : { address: parsed, router };
});

export const floatingIpParameters = {
  router: z.string({ error: 'the name of a router' }).min(1, { error: 'the name of a router' }).optional(),
  address: address().optional(),
  limit: wholeNumber(1, PAGE_LIMIT).prefault(String(PAGE_LIMIT)),
  after: cursor.optional(),
};

export type FloatingIpQuery = z.output<z.ZodObject<typeof floatingIpParameters>>;
