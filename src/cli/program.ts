import { Command, CommanderError } from 'commander';
import { isOurMistake } from './mistake.js';

/** What a file of this folder exports to be a subcommand. */
interface Subcommand {
  /** Adds the command, its options and its action. An action reports failure by throwing an Error whose message is one sentence, or by setting process.exitCode. */
  readonly register: (program: Command) => void;
}

const daemon = (): Promise<Subcommand> => import('./daemon.js');

/**
 * Loaded only when asked for: `floatgate check` needs neither the native addon
 * nor an HTTP server. One line for each word that a user can type first.
 */
const subcommands: Readonly<Record<string, () => Promise<Subcommand>>> = {
  check: () => import('./check.js'),
  run: daemon,
  status: () => import('./status.js'),
  drain: daemon,
  undrain: daemon,
  reload: daemon,
  detach: daemon,
  sessions: () => import('./sessions.js'),
  fip: () => import('./fip.js'),
  lab: () => import('./lab.js'),
  schema: () => import('./schema.js'),
};

/** Every command keeps to these. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, refused: 3 } as const;

/**
 * Runs `floatgate` with these arguments and returns its exit code: 0 ok,
 * 1 failure (told on standard error), 2 wrong usage, 3 a daemon that does not do it now.
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const program = new Command('floatgate')
    .description('A highly available NAT gateway for overlay networks.')
    .showSuggestionAfterError()
    .showHelpAfterError('(floatgate --help tells more)')
    .enablePositionalOptions()
    // To be inherited, these stand before the first subcommand.
    .exitOverride();
  try {
    for (const { register } of await load(args)) register(program);
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? exitCodes.ok);
  } catch (error) {
    return report(error);
  }
}

/** The one that is asked for; all of them for help and for words that are none of ours. */
async function load(args: readonly string[]): Promise<Set<Subcommand>> {
  const word = args[0] ?? '';
  const wanted = Object.hasOwn(subcommands, word) ? [subcommands[word]!] : Object.values(subcommands);
  return new Set(await Promise.all(wanted.map((importIt) => importIt())));
}

function report(error: unknown): number {
  // Commander has said what it had to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  process.stderr.write(`floatgate: ${sentenceOf(error)}\n`);
  return isRefusal(error) ? exitCodes.refused : exitCodes.failure;
}

/** By what it has: the client of the API is not loaded for commands that need none. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'refused' in error && error.refused === true;
}

/** A mistake in the program comes with its stack; everything else is told by its sentence. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return isOurMistake(error) ? (error.stack ?? error.message) : error.message;
}
