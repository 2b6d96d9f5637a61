/** `floatgate run`: the daemon, and the end of it. */
import { Gateway } from '../gateway/gateway.js';
import { createLogger } from '../log.js';
import type { Logger } from '../log.js';
import { notifyServiceManager } from './notify.js';
import { isOurMistake } from './mistake.js';

export interface RunOptions {
  /** Path of the configuration file. */
  readonly config: string;
  /** On SIGTERM and SIGINT detach the programs and give up the pinned state, instead of leaving both for the next daemon. */
  readonly detachOnExit?: boolean;
}

/**
 * Runs until SIGTERM or SIGINT. SIGHUP reads the configuration again.
 * @returns the exit code: 0 after a graceful stop, 1 when the gateway could not start or go on
 */
export async function run(options: RunOptions): Promise<number> {
  const log = createLogger('info');
  const ended = new Promise<number>((resolve) => {
    // Nothing is known of the state after this: the pinned programs go on, a new process starts from them.
    process.once('uncaughtException', (error) => resolve(fail(log, error, 'uncaught exception')));
    process.once('unhandledRejection', (error) => resolve(fail(log, error, 'unhandled rejection')));
    Gateway.start({ configFile: options.config, log }).then(
      (gateway) => handleSignals(gateway, log, options.detachOnExit === true, resolve),
      (error: unknown) => resolve(refuse(log, error)),
    );
  });
  return ended;
}

function handleSignals(gateway: Gateway, log: Logger, detach: boolean, end: (code: number) => void): void {
  const warn = (sentence: string): void => log.warn(sentence);
  notifyServiceManager('READY=1', warn);
  const stop = (): void => {
    notifyServiceManager('STOPPING=1', warn);
    gateway.stop({ detach }).then(() => end(0), (error: unknown) => end(fail(log, error, 'the gateway could not stop')));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => {
    gateway.reload().catch((error: unknown) => log.error({ err: (error as Error).message }, 'the configuration was not reloaded'));
  });
}

/** What the user can mend is told without a stack, one line for each problem. */
function refuse(log: Logger, error: unknown): number {
  if (!(error instanceof Error) || isOurMistake(error)) return fail(log, error, 'the gateway cannot start');
  for (const sentence of error.message.split('\n')) log.fatal(`the gateway cannot start: ${sentence}`);
  return 1;
}

function fail(log: Logger, error: unknown, what: string): number {
  log.fatal({ err: error instanceof Error ? { message: error.message, stack: error.stack } : String(error) }, what);
  return 1;
}
