/** The thread of commands.ts. */
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { endCommands, runCommand } from './run-command.js';
import type { Command } from './run-command.js';

// A thread's, and of what it starts: elections come first.
setPriority(0);

parentPort?.on('message', (message: { readonly id: number; readonly command: Command } | 'end') => {
  if (message === 'end') {
    endCommands();
    parentPort?.close();
    return;
  }
  void runCommand(message.command).then((result) => parentPort?.postMessage({ id: message.id, result }));
});
