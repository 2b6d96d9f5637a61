import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'native/test/**/*.test.ts'],
    // Properties run hundreds of cases, on machines that are busy with labs.
    testTimeout: 30_000,
    // Verdicts on bytes and on sequences of states: a diff cut short hides the difference.
    chaiConfig: { truncateThreshold: 0 },
  },
});
