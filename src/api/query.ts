/** Query strings: what a parameter must be is told by its name. */
import { z } from 'zod';
import { networkAddressOf, parseIpv4, parseIpv4Subnet } from '../config/address.js';
import type { Ipv4Address, Ipv4Subnet } from '../config/address.js';
import { suggest } from '../config/suggestion.js';

/** A request that nobody could follow: HTTP 400. */
export class ApiMistake extends Error {
  readonly statusCode = 400;
}

export interface Endpoint {
  readonly address: Ipv4Address;
  readonly port?: number | undefined;
}

export interface Remote {
  readonly subnet: Ipv4Subnet;
  readonly port?: number | undefined;
}

/** @throws ApiMistake naming the parameter, its value, and what it must be */
export function parseQuery<Shape extends z.core.$ZodLooseShape>(shape: Shape, query: unknown): z.output<z.ZodObject<Shape>> {
  const result = z.strictObject(shape).safeParse(query);
  if (result.success) return result.data as z.output<z.ZodObject<Shape>>;
  throw new ApiMistake(result.error.issues.map((issue) => sentenceOf(issue, query as Record<string, unknown>, Object.keys(shape))).join('; '));
}

function sentenceOf(issue: z.core.$ZodIssue, query: Record<string, unknown>, parameters: readonly string[]): string {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownParameter(key, parameters)).join('; ');
  const name = String(issue.path[0]);
  const value = query[name];
  return value === undefined ? `${name} is missing: it must be ${issue.message}` : `${name} is ${String(value) || 'empty'}, but must be ${issue.message}`;
}

function unknownParameter(key: string, parameters: readonly string[]): string {
  const guess = suggest(key, parameters);
  return `${key} is not a parameter: ${guess === undefined ? `there are ${parameters.join(', ')}` : `did you mean ${guess}`}`;
}

/** A text that `parse` turns into something better, or refuses with undefined. */
export function text<T>(mustBe: string, parse: (value: string) => T | undefined) {
  return z.string({ error: mustBe }).transform((value, context): T => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.issues.push({ code: 'custom', input: value, message: mustBe });
    return z.NEVER;
  });
}

export function wholeNumber(min: number, max: number) {
  return text(`a whole number from ${min} to ${max}`, (value) => wholeNumberIn(value, min, max));
}

export function wholeNumbers(min: number, max: number) {
  return text(`whole numbers from ${min} to ${max} with commas between them`, (value) => {
    const numbers = value.split(',').map((each) => wholeNumberIn(each, min, max));
    return numbers.every((each) => each !== undefined) ? numbers : undefined;
  });
}

export function yes() {
  return text('true or false', (value) => ({ true: true, false: false })[value]);
}

export function address() {
  return text('an IPv4 address, such as 172.16.100.10', parseIpv4);
}

export function endpoint() {
  return text('an IPv4 address, with a port or without one, such as 10.0.2.201 or 10.0.2.201:1025', (value): Endpoint | undefined => {
    const { before, port } = splitPort(value) ?? {};
    const parsed = before === undefined ? undefined : parseIpv4(before);
    return parsed === undefined ? undefined : { address: parsed, port };
  });
}

export function remote() {
  const mustBe = 'an IPv4 address or subnet, with a port or without one, such as 203.0.113.10, 203.0.113.0/24 or 203.0.113.0/24:443';
  return text(mustBe, (value): Remote | undefined => {
    const { before, port } = splitPort(value) ?? {};
    const subnet = before === undefined ? undefined : parseIpv4Subnet(before.includes('/') ? before : `${before}/32`);
    return subnet === undefined ? undefined : { subnet: { ...subnet, address: networkAddressOf(subnet) }, port };
  });
}

function splitPort(value: string): { before: string; port: number | undefined } | undefined {
  const [before = '', digits, ...rest] = value.split(':');
  if (rest.length > 0) return undefined;
  if (digits === undefined) return { before, port: undefined };
  const port = wholeNumberIn(digits, 0, 65_535);
  return port === undefined ? undefined : { before, port };
}

function wholeNumberIn(value: string, min: number, max: number): number | undefined {
  const number = Number(value);
  return /^\d{1,10}$/.test(value) && number >= min && number <= max ? number : undefined;
}
