#!/usr/bin/env node
import { runCommandLine } from './program.js';

// Root has no such folders in its path after `su` without a dash; the lab's tools are there.
process.env['PATH'] = `${process.env['PATH']}:/usr/sbin:/sbin`;

// `floatgate schema | head` is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2));
