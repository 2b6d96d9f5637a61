/** What can be asked about sessions. */
import { z } from 'zod';
import { durationPattern, parseDuration } from '../config/duration.js';
import { address, endpoint, remote, text, wholeNumber, yes } from './query.js';

const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) => z.enum(values, { error: `one of ${values.join(', ')}` });
const named = (what: string) => z.string({ error: `the name of a ${what}` }).min(1, { error: `the name of a ${what}` });

const filter = {
  router: named('router').optional(),
  network: named('network').optional(),
  /** Address of a VM, in every network that has it unless `network` or `router` says more. */
  vm: address().optional(),
  external: endpoint().optional(),
  remote: remote().optional(),
  protocol: oneOf(['tcp', 'udp', 'icmp']).optional(),
  state: oneOf(['transitory', 'established', 'closing']).optional(),
  unprotected: yes().optional(),
  idleOver: text('a duration with its unit, such as 60s', (value) => (durationPattern.test(value) ? parseDuration(value) : undefined)).optional(),
};

/** Which sessions are meant; what is not said is not asked for. */
export type SessionFilter = z.output<z.ZodObject<typeof filter>>;
export const filterParameters = Object.keys(filter) as (keyof SessionFilter)[];

/** 'm' or 's' for the table, mappings or sessions, and the first slot in it that was not looked at. */
export interface Cursor {
  readonly table: 'mappings' | 'sessions';
  readonly index: number;
}

const cursor = text('what an earlier page gave as next', (value): Cursor | undefined => {
  const [, table, index] = /^([ms])(\d{1,10})$/.exec(value) ?? [];
  return index === undefined ? undefined : { table: table === 'm' ? 'mappings' : 'sessions', index: Number(index) };
});

export function formatCursor({ table, index }: Cursor): string {
  return `${table[0]}${index}`;
}

/** Items of one page at most. */
export const PAGE_LIMIT = 1000;

export const listParameters = { ...filter, limit: wholeNumber(1, PAGE_LIMIT).prefault('100'), after: cursor.optional() };
export const countParameters = { ...filter, by: oneOf(['router', 'vm', 'protocol', 'state', 'remote']).optional(), limit: wholeNumber(1, PAGE_LIMIT).prefault('100') };
export const killParameters = { ...filter, after: cursor.optional() };

export type ListQuery = z.output<z.ZodObject<typeof listParameters>>;
export type CountQuery = z.output<z.ZodObject<typeof countParameters>>;
export type KillQuery = z.output<z.ZodObject<typeof killParameters>>;

export function hasFilter(query: SessionFilter): boolean {
  return filterParameters.some((parameter) => query[parameter] !== undefined && query[parameter] !== false);
}
