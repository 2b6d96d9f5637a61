// A few random faults on every machine that runs the tests; `npm run chaos` goes on for as long as one likes.
import { expect, it } from 'vitest';
import { runChaos } from '../chaos/run.js';

it('random faults/at most one Active, no session lost, no port given twice, everything heals', { timeout: 180_000 }, async () => {
  const told: string[] = [];
  const violations = await runChaos({ seed: 7, seconds: 12, connections: 40, flows: 40, say: (line) => told.push(line) });
  expect(violations, told.join('\n')).toEqual([]);
});
