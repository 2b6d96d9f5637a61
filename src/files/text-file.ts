import { readFileSync } from 'node:fs';

/** @throws Error with one sentence: "cannot read the configuration gw.yaml: no such file or directory." */
export function readTextFile(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`cannot read ${what} ${file}: ${reasonOf(error)}.`);
  }
}

/** Node's `ENOENT: no such file or directory, open '…'` without what we say ourselves. */
export function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/^[A-Z]+: /, '').replace(/, \w+( '.*')?$/, '');
}
