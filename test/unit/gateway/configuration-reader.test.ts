import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Reader from '../../../src/gateway/configuration-reader.js';
import { readConfiguration } from '../../../src/files/configuration-file.js';
import { example, exampleWith } from '../config/example.js';

/* As built: a thread cannot load TypeScript. */
const { readConfigurationAside } = (await import(new URL('../../../dist/gateway/configuration-reader.js', import.meta.url).pathname)) as typeof Reader;

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'floatgate-reader-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** The example with that many floating IPs more. */
function large(count: number): string {
  const more = Array.from({ length: count }, (_, i) => `      - { address: 10.2.${i >> 8}.${i & 255}, network: a-net, fixedIp: 172.20.${i >> 8}.${i & 255} }\n`);
  return example
    .replace('subnet: 10.0.2.0/24, gateway: 10.0.2.1', 'subnet: 10.0.0.0/8, gateway: 10.0.2.1')
    .replace('subnet: 172.16.100.0/24, gateway: 172.16.100.1, mac: "fa:16:3e:00:01:01"', 'subnet: 172.20.0.0/16, gateway: 172.20.255.1, mac: "fa:16:3e:00:01:01"')
    .replace('      - { address: 10.0.2.215, network: a-net, fixedIp: 172.16.100.11 }\n', more.slice(1).join(''));
}

describe('a configuration that is read aside', () => {
  it('is the same as one that is read here', async () => {
    const file = write('same.yaml', example);
    expect(await readConfigurationAside(file)).toEqual(readConfiguration(file));
  });

  it('leaves the event loop free', async () => {
    const file = write('large.yaml', large(3000));
    const begun = performance.now();
    const reading = readConfigurationAside(file).then(({ configuration }) => ({ configuration, tookMs: performance.now() - begun }));
    let done = false;
    let worstMs = 0;
    const watch = async (): Promise<void> => {
      for (let last = performance.now(); !done; last = performance.now()) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        worstMs = Math.max(worstMs, performance.now() - last);
      }
    };
    const watching = watch();
    const { configuration, tookMs } = await reading.finally(() => (done = true));
    await watching;
    expect(configuration.routers[0]!.floatingIps).toHaveLength(2999);
    expect(worstMs).toBeLessThan(tookMs / 2);
  });

  it('is refused with every error, and with one sentence when it is not there', async () => {
    const bad = write('bad.yaml', exampleWith('id: 0', 'id: 7'));
    await expect(readConfigurationAside(bad)).rejects.toThrow(`${bad}:2:28: gateway.id is 7, but must be`);
    await expect(readConfigurationAside(join(folder, 'none'))).rejects.toThrow(/^cannot read the configuration .*none: no such file or directory\.$/);
  });
});
