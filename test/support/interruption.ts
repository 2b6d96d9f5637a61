/** For commands that vite-node runs, and that have a lab to take down. */
import { interruptedBySignals } from '../../src/lab/run.js';

/** As interruptedBySignals(); vite-node itself would leave at once, and leave the lab behind. */
export function interruption(say: (line: string) => void): ReturnType<typeof interruptedBySignals> {
  process.removeAllListeners('SIGTERM');
  return interruptedBySignals(say);
}
