/** Structured logs: one JSON object per line on standard output. */
import { pino } from 'pino';
import type { Logger } from 'pino';

export type { Logger } from 'pino';

/** `reason` fields use the words of enum reason and of the election. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    // One daemon, one stream: whoever collects it knows the process.
    base: {},
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // Synchronous: the last line before an exit is the one that is needed.
  }, pino.destination({ fd: 1, sync: true }));
}
