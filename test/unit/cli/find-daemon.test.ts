import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDaemon } from '../../../src/cli/find-daemon.js';

let folder: string;
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'floatgate-find-'));
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  rmSync(folder, { recursive: true });
});

/** A daemon with this state directory. */
async function daemonIn(stateDirectory: string): Promise<string> {
  mkdirSync(stateDirectory, { recursive: true });
  const server = createServer();
  servers.push(server);
  const socket = join(stateDirectory, 'api.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return socket;
}

describe('the daemon that is meant when nobody says which', () => {
  it('the directory itself', async () => {
    const socket = await daemonIn(folder);
    expect(await findDaemon(folder)).toBe(socket);
  });

  it('one folder in it/where a daemon answers, not where one has died', async () => {
    mkdirSync(join(folder, 'dead'));
    writeFileSync(join(folder, 'dead', 'api.sock'), '');
    const socket = await daemonIn(join(folder, 'gw-a'));
    expect(await findDaemon(folder)).toBe(socket);
  });

  it('several/all are named, and how to choose', async () => {
    await daemonIn(join(folder, 'gw-a'));
    await daemonIn(join(folder, 'gw-b'));
    await expect(findDaemon(folder)).rejects.toThrow(`several floatgate daemons answer, name one of them: -s ${folder}/gw-a, -s ${folder}/gw-b`);
  });

  it('none/says how to name one, also without the directory', async () => {
    const sentence = /^no floatgate daemon answers on .*api\.sock or in a folder of .*: name its configuration file \(-c\) or its stateDirectory \(-s\)$/;
    await expect(findDaemon(folder)).rejects.toThrow(sentence);
    await expect(findDaemon(join(folder, 'none'))).rejects.toThrow(sentence);
  });
});
