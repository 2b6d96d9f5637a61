/** What is asked of a gateway from outside: the API on its socket, and metrics where the configuration wants them. */
import type { Server } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { buildApi, listenOnSocket } from '../api/server.js';
import type { ApiActions } from '../api/server.js';
import { createRegistry, serveMetrics } from '../metrics/metrics.js';
import type { MetricsSource } from '../metrics/metrics.js';

type Listen = Parameters<typeof serveMetrics>[1];

export class Servers {
  readonly #source: MetricsSource;
  #api: FastifyInstance | undefined;
  #registry: ReturnType<typeof createRegistry> | undefined;
  #metrics: { readonly server: Server; readonly listen: Listen } | undefined;

  constructor(source: MetricsSource) {
    this.#source = source;
  }

  /** @throws Error when another daemon answers on the socket */
  async serveApi(actions: ApiActions, socket: string): Promise<void> {
    this.#api = buildApi(actions);
    await listenOnSocket(this.#api, socket);
  }

  /** At that address, or nowhere; also after an earlier attempt has failed. @throws Error naming the address */
  async serveMetrics(listen: Listen | undefined): Promise<void> {
    if (isDeepStrictEqual(this.#metrics?.listen, listen)) return;
    this.#metrics?.server.close();
    this.#metrics = undefined;
    if (listen === undefined) return;
    this.#registry ??= createRegistry(this.#source);
    this.#metrics = { server: await serveMetrics(this.#registry, listen), listen };
  }

  async close(): Promise<void> {
    this.#metrics?.server.close();
    await this.#api?.close();
  }
}
