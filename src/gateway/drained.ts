/**
 * Which virtual routers were drained: kept in the state directory, so that a
 * daemon that is restarted in the middle of a maintenance does not take them
 * back. The state directory is in /run by default: a reboot forgets.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

interface Written {
  /** Also those that a reload adds. */
  readonly all: boolean;
  readonly vrids: readonly number[];
}

const nothing: Written = { all: false, vrids: [] };

export class Drained {
  readonly #path: string;
  #state: Written;

  constructor(path: string, warn: (sentence: string) => void) {
    this.#path = path;
    this.#state = read(path, warn);
  }

  has(vrid: number): boolean {
    return this.#state.all || this.#state.vrids.includes(vrid);
  }

  /** @throws SystemError when it cannot be kept */
  add(vrids: readonly number[] | 'all'): void {
    this.#write(vrids === 'all' ? { all: true, vrids: [] } : { all: this.#state.all, vrids: [...new Set([...this.#state.vrids, ...vrids])] });
  }

  /** `existing`: which there are, for those stay that were drained with all. @throws SystemError */
  remove(vrids: readonly number[] | 'all', existing: readonly number[]): void {
    if (vrids === 'all') return this.#write(nothing);
    const before = this.#state.all ? existing : this.#state.vrids;
    this.#write({ all: false, vrids: before.filter((vrid) => !vrids.includes(vrid)) });
  }

  #write(state: Written): void {
    if (!state.all && state.vrids.length === 0) rmSync(this.#path, { force: true });
    else {
      const temporary = `${this.#path}.new`;
      writeFileSync(temporary, `${JSON.stringify(state)}\n`, { mode: 0o600 });
      renameSync(temporary, this.#path);
    }
    this.#state = state;
  }
}

function read(path: string, warn: (sentence: string) => void): Written {
  try {
    const { all, vrids } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Written>;
    if (typeof all === 'boolean' && Array.isArray(vrids) && vrids.every(Number.isInteger)) return { all, vrids };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothing;
  }
  warn(`${path} cannot be read, so nothing is drained`);
  return nothing;
}
