// Downloads one URL and prints one JSON object: {"bytes", "sha256", "durationMs"}.
// usage: download URL
import { createHash } from 'node:crypto';
import { get } from 'node:http';
import { argument } from './control.js';

const stallMs = 10_000;
const started = performance.now();
const request = get(argument(1, 'URL'), (response) => {
  const hash = createHash('sha256');
  let bytes = 0;
  response.on('data', (data: Buffer) => {
    hash.update(data);
    bytes += data.length;
  });
  response.on('end', () => {
    if (response.statusCode !== 200) fail(`HTTP status ${response.statusCode}`);
    console.log(JSON.stringify({ bytes, sha256: hash.digest('hex'), durationMs: performance.now() - started }));
  });
  response.on('error', (error) => fail(error.message));
});
request.setTimeout(stallMs, () => request.destroy(new Error(`nothing received for ${stallMs / 1000} s`)));
request.on('error', (error) => fail(error.message));

function fail(reason: string): never {
  console.error(`download failed: ${reason}`);
  process.exit(1);
}
