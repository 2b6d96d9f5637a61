/** `floatgate status`: what the daemon says of itself. */
import { ApiClient } from '../api/client.js';
import { formatStatus } from '../api/format.js';

export interface StatusOptions {
  /** The daemon's socket: <stateDirectory>/api.sock. */
  readonly socket: string;
  /** The API's answer as it is, for scripts. */
  readonly json?: boolean;
}

/** What to print. @throws ApiError with one sentence when no daemon answers. */
export async function status(options: StatusOptions): Promise<string> {
  const answer = await new ApiClient(options.socket).status();
  return options.json === true ? `${JSON.stringify(answer, undefined, 2)}\n` : formatStatus(answer);
}
