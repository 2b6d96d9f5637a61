import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configurationJsonSchema } from '../../../src/config/json-schema.js';
import { exampleWith, smallest } from '../config/example.js';
import { run } from './run.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'floatgate-cli-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const goodKey = '000102030405060708090a0b0c0d0e0f';

describe('check', () => {
  it('good file with a good key/ok and a summary, exit 0', async () => {
    const file = write('gw.yaml', exampleWith('/etc/floatgate/sync.key', write('sync.key', goodKey)));
    expect(await run('check', '--config', file)).toEqual({
      code: 0,
      out: `ok: ${file}: gateway gw-a (id 0), peer 169.254.77.2, sync strict, 1 virtual router, 1 external network, 2 routers, 3 networks, 2 floating IPs\n`,
      err: '',
    });
  });

  it('errors/each on its line of standard error, exit 1', async () => {
    const file = write('gw.yaml', exampleWith('priority: 200', 'priority: 300').replace('id: 0', 'id: 9'));
    expect(await run('check', '-c', file)).toEqual({
      code: 1,
      out: '',
      err: `error: ${file}:2:28: gateway.id is 9, but must be a whole number from 0 to 1.\nerror: ${file}:10:73: virtualRouters[0].priority is 300, but must be a whole number from 1 to 255.\n`,
    });
  });

  it('warnings/do not make it fail', async () => {
    const file = write('gw.yaml', `${smallest}timeouts: { udp: 30s }\n`);
    const { code, out, err } = await run('check', '-c', file);
    expect({ code, err }).toEqual({ code: 0, err: `warning: ${file}:4:18: timeouts.udp is 30s, less than the 120s that RFC 4787 REQ-5 asks for.\n` });
    expect(out).toContain('no peer, sync none');
  });

  it('--json/codes and places', async () => {
    const bad = JSON.parse((await run('check', '--json', '-c', write('bad.yaml', smallest.replace('id: 1', 'id: 2')))).out) as unknown;
    expect(bad).toMatchObject({ ok: false, warnings: [], errors: [{ code: 'FLOATGATE_ERR_CONFIG_INVALID_VALUE', path: 'gateway.id', line: 2, column: 28 }] });
    const good = JSON.parse((await run('check', '--json', '-c', write('good.yaml', smallest))).out) as unknown;
    expect(good).toMatchObject({ ok: true, errors: [], summary: { gateway: 'gw-a', id: 1, syncMode: 'none', routers: 0 } });
  });

  it('no such file/one sentence, exit 1', async () => {
    const file = join(folder, 'none.yaml');
    expect(await run('check', '-c', file)).toEqual({ code: 1, out: '', err: `floatgate: cannot read the configuration ${file}: no such file or directory.\n` });
  });

  it.each([
    ['missing', undefined, 'it cannot be read: no such file or directory'],
    ['too short', goodKey.slice(2), 'the key has 30 characters, but must have 32'],
  ])('key file %s/exit 1, and the key is not shown', async (_, text, says) => {
    const keyFile = text === undefined ? join(folder, 'none') : write('sync.key', text);
    const file = write('gw.yaml', exampleWith('/etc/floatgate/sync.key', keyFile));
    const { code, err } = await run('check', '-c', file);
    expect(code).toBe(1);
    expect(err).toContain(`error: ${file}: sync.keyFile is ${keyFile}, but ${says}`);
    expect(err).not.toContain('0405');
    expect((await run('check', '--no-key', '-c', file)).code).toBe(0);
  });

  it('key file that others can read/a warning', async () => {
    const keyFile = write('sync.key', goodKey);
    chmodSync(keyFile, 0o644);
    const { code, err } = await run('check', '-c', write('gw.yaml', exampleWith('/etc/floatgate/sync.key', keyFile)));
    expect(code).toBe(0);
    expect(err).toContain('other users can read or change it: chmod 600');
  });
});

describe('schema', () => {
  it('printed/the JSON Schema, exit 0', async () => {
    const { code, out } = await run('schema');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual(JSON.parse(JSON.stringify(configurationJsonSchema())));
  });
});

describe('daemon', () => {
  it.each(['status', 'drain', 'undrain', 'reload'])('%s without a daemon/one sentence that names the socket, exit 1', async (command) => {
    const { code, out, err } = await run(command, '--state-directory', folder);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^floatgate: [^\n]+\n$/);
    expect(err).toContain(join(folder, 'api.sock'));
  });

  it('found by its configuration/the stateDirectory of the file', async () => {
    const file = write('gw.yaml', `${smallest}stateDirectory: ${folder}/state\n`);
    expect((await run('status', '-c', file)).err).toContain(join(folder, 'state', 'api.sock'));
  });

  it('found by a configuration with errors/they are told', async () => {
    const { code, err } = await run('status', '-c', write('gw.yaml', smallest.replace('id: 1', 'id: 5')));
    expect(code).toBe(1);
    expect(err).toContain('gateway.id is 5, but must be');
  });
});

describe('usage', () => {
  it.each([
    ['unknown command', ['chekc'], "unknown command 'chekc'"],
    ['unknown option', ['schema', '--colour'], "unknown option '--colour'"],
    ['option without its value', ['check', '-c'], 'argument missing'],
    ['required option missing', ['check'], "required option '-c, --config <file>' not specified"],
    ['name of an object method', ['toString'], "unknown command 'toString'"],
    ['too many words', ['schema', 'please'], 'too many arguments'],
    ['nothing', [], 'Usage: floatgate'],
  ])('%s/exit 2', async (_, args, says) => {
    const { code, out, err } = await run(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(says);
  });

  it('--help/every command, exit 0', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    expect(out).toMatch(/check \[options\][\s\S]*run \[options\][\s\S]*lab[\s\S]*schema/);
  });
});
