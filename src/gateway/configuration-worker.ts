/** The thread of configuration-reader.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { parseConfiguration } from '../config/configuration.js';

const { text, file } = workerData as { readonly text: string; readonly file: string };
parentPort?.postMessage(parseConfiguration(text, file));
