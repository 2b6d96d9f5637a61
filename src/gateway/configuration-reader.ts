/**
 * Reads a configuration while elections go on: ten thousand floating IPs take
 * YAML a second, in which no advertisement would be sent and the peer would
 * take over. So a thread does it.
 */
import { Worker } from 'node:worker_threads';
import type { ConfigurationResult } from '../config/configuration.js';
import { accepted } from '../files/configuration-file.js';
import type { ReadConfiguration } from '../files/configuration-file.js';
import { readTextFile } from '../files/text-file.js';

/** @throws Error with one sentence when the file cannot be read; ConfigurationRefused */
export async function readConfigurationAside(file: string): Promise<ReadConfiguration> {
  const worker = new Worker(new URL('./configuration-worker.js', import.meta.url), { workerData: { text: readTextFile(file, 'the configuration'), file } });
  return accepted(await new Promise<ConfigurationResult>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread that reads ${file} ended with code ${code}`)));
  }));
}
