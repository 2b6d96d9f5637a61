// `npm run ledger`. Node 20 reads no TypeScript; vitest, which runs the tests that the ledger names, does.
import { fileURLToPath } from 'node:url';
import { createVitest } from 'vitest/node';

const vitest = await createVitest('test', { watch: false, project: ['unit'], reporters: [{}] });
let status = 1;
try {
  const { runLedger } = await vitest.import(fileURLToPath(new URL('./run.ts', import.meta.url)));
  status = await runLedger(vitest, process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
}
await vitest.close();
process.exit(status);
