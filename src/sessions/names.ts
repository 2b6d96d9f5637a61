/** Names in a question are those of the configuration, or mistyped. */
import { ApiMistake } from '../api/query.js';
import { suggest } from '../config/suggestion.js';
import type { Directory } from './directory.js';

/** @throws ApiMistake naming the parameter when there is no such router or network */
export function checkNames({ router, network }: { readonly router?: string | undefined; readonly network?: string | undefined }, { routers, networks }: Pick<Directory, 'routers' | 'networks'>): void {
  checkName('router', router, routers);
  checkName('network', network, networks);
}

function checkName(parameter: string, name: string | undefined, names: readonly string[]): void {
  if (name === undefined || names.includes(name)) return;
  const guess = suggest(name, names);
  throw new ApiMistake(`${parameter} is ${name}, but the configuration has no ${parameter} of this name${guess === undefined ? '' : `: did you mean ${guess}`}`);
}
