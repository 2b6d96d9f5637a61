// How the lab speaks to its clients: one JSON object per line.
//   → {"id": 1, "command": "window", "arguments": {…}}
//   ← {"id": 1, "result": {…}}   or   {"id": 1, "error": "one sentence"}
import { createInterface } from 'node:readline';

export type Handlers = Readonly<Record<string, (args: Record<string, unknown>) => unknown>>;

/** Serves commands until standard input ends; then the process ends too, so that no client outlives the lab that started it. */
export function serveCommands(handlers: Handlers): void {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => void answer(handlers, line));
  lines.on('close', () => process.exit(0));
}

async function answer(handlers: Handlers, line: string): Promise<void> {
  const { id, command, arguments: args = {} } = JSON.parse(line) as { id: number; command: string; arguments?: Record<string, unknown> };
  const reply = (body: object) => process.stdout.write(`${JSON.stringify({ id, ...body })}\n`);
  try {
    const handler = handlers[command];
    if (handler === undefined) throw new Error(`unknown command '${command}'`);
    reply({ result: (await handler(args)) ?? {} });
  } catch (error) {
    reply({ error: error instanceof Error ? error.message : String(error) });
  }
}

/** The N-th word of the command line; clients are started by the lab only, so a missing one is a defect there. */
export function argument(position: number, name: string): string {
  const value = process.argv[1 + position];
  if (value === undefined) throw new Error(`missing argument ${position}: ${name}`);
  return value;
}

/** From the N-th word of the command line on: IPv4 addresses to send from, in turn. undefined, the system's choice, when there are none. */
export function sourceOf(position: number, id: number): string | undefined {
  const addresses = process.argv.slice(1 + position);
  return addresses[id % Math.max(1, addresses.length)];
}
