import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'native/test/**/*.test.ts'],
    // Verdicts on bytes and on sequences of states: a diff cut short hides the difference.
    chaiConfig: { truncateThreshold: 0 },
  },
});
