import { defineConfig } from 'vitest/config';

// Root has no such folders in its path after `su` without a dash; the tests' tools are there.
process.env['PATH'] = `${process.env['PATH']}:/usr/sbin:/sbin`;

/** Verdicts on bytes and on sequences of states: a diff cut short hides the difference. */
const chaiConfig = { truncateThreshold: 0 };

/** Many tests measure time, on machines that others use as well. `.ci/repeated.mjs` names those that needed it. */
const retry = process.env['CI'] === undefined ? 0 : 1;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts', 'native/test/**/*.test.ts'],
          exclude: ['test/lab/**', '**/node_modules/**'],
          // Properties run hundreds of cases, on machines that are busy.
          testTimeout: 30_000,
          retry,
          chaiConfig,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          // After the others and one file at a time: they measure time, and there is one lab on a machine.
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          testTimeout: 30_000,
          retry,
          poolOptions: { forks: { singleFork: true } },
          chaiConfig,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
