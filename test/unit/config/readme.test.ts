import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfiguration } from '../../../src/config/configuration.js';

it('the configuration in README.md is accepted as it stands', () => {
  const text = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const yaml = /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  expect(parseConfiguration(yaml, 'README.md')).toMatchObject({ configuration: { gateway: { name: 'gw-a', id: 0 } }, warnings: [] });
});
