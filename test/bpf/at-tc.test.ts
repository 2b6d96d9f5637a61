/**
 * The tables of packets that know nothing of hooks, once more for the programs at
 * TC. (Newer files name both hooks themselves: describe.each(hooks).)
 */
import { describe, it } from 'vitest';
import { hooks, loadByDefault } from '../support/gateway-fixture.js';

const tables = [
  'answers', 'captures', 'doubtful-peer', 'drops', 'floating-ip', 'hostile', 'inbound', 'maintain', 'mapping', 'outbound', 'replication', 'standby-bulk',
];

if (hooks.includes('tc')) {
  loadByDefault('tc');
  describe.each(tables)('at tc / %s', async (name) => {
    await import(`./${name}.test.ts`);
  });
} else {
  it.todo('dist/bpf/floatgate-tc.bpf.o is not built');
}
