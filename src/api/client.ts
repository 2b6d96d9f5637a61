/** The CLI's side of the local API. */
import { request } from 'node:http';
import type { FloatingIpPage } from './floating-ips.js';
import type { SessionCount, SessionPage, SessionsKilled } from './sessions.js';
import type { DrainAnswer, RouterStatus, Status } from './status.js';

/** Parameters as the user wrote them: the daemon says what is wrong with one. */
export type Parameters = Readonly<Record<string, string | undefined>>;

/** One sentence for the user: which daemon, and what it said. */
export class ApiError extends Error {
  /** The daemon has understood, and does not do it now. */
  readonly refused: boolean;

  constructor(sentence: string, refused = false) {
    super(sentence);
    this.refused = refused;
  }
}

export class ApiClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async status(): Promise<Status> {
    return (await this.#call('GET', '/status')) as Status;
  }

  /** `name`: of one; without it all. */
  async routers(parameters: Parameters = {}): Promise<readonly RouterStatus[]> {
    return (await this.#call('GET', '/routers', parameters)) as readonly RouterStatus[];
  }

  async counters(): Promise<Status['counters']> {
    return (await this.#call('GET', '/counters')) as Status['counters'];
  }

  /** `vrid`: some, with commas between them; without it all. */
  async drain(parameters: Parameters = {}): Promise<DrainAnswer> {
    return (await this.#call('POST', '/drain', parameters)) as DrainAnswer;
  }

  async undrain(parameters: Parameters = {}): Promise<DrainAnswer> {
    return (await this.#call('POST', '/undrain', parameters)) as DrainAnswer;
  }

  async reload(): Promise<{ changes: number }> {
    return (await this.#call('POST', '/reload')) as { changes: number };
  }

  async sessions(parameters: Parameters): Promise<SessionPage> {
    return (await this.#call('GET', '/sessions', parameters)) as SessionPage;
  }

  async countSessions(parameters: Parameters): Promise<SessionCount> {
    return (await this.#call('GET', '/sessions/count', parameters)) as SessionCount;
  }

  /** One page of them. */
  async killSessions(parameters: Parameters): Promise<SessionsKilled> {
    return (await this.#call('POST', '/sessions/kill', parameters)) as SessionsKilled;
  }

  async floatingIps(parameters: Parameters): Promise<FloatingIpPage> {
    return (await this.#call('GET', '/floating-ips', parameters)) as FloatingIpPage;
  }

  #call(method: string, resource: string, parameters: Parameters = {}): Promise<unknown> {
    const path = `${resource}${queryOf(parameters)}`;
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.#socketPath, method, path }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          try {
            resolve(parseAnswer(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')));
          } catch (error) {
            reject(error as Error);
          }
        });
      });
      call.on('error', (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)));
      call.end();
    });
  }

  #unreachable(error: NodeJS.ErrnoException): ApiError {
    const absent = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
    return new ApiError(absent ? `no floatgate daemon answers on ${this.#socketPath}` : `${this.#socketPath}: ${error.message}`);
  }
}

function queryOf(parameters: Parameters): string {
  const said = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return said.length === 0 ? '' : `?${new URLSearchParams(said).toString()}`;
}

function parseAnswer(statusCode: number, text: string): unknown {
  const body: unknown = text === '' ? undefined : JSON.parse(text);
  if (statusCode >= 200 && statusCode < 300) return body;
  const { error, message } = (body ?? {}) as { error?: string; message?: string };
  throw new ApiError(message ?? error ?? `the daemon answered with HTTP ${statusCode}`, statusCode === 409);
}
