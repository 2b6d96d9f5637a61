/** A crowd of VMs behind one tunnel endpoint: which session is whose, and how its two ends count them. */

const PORTS_PER_VM = 1000;
const FIRST_PORT = 10_000;
export const ROUTERS = 3;
export const FIRST_VNI = 901;
/** 172.20.1.0 and on. */
const FIRST_VM = 0xac140100;
export const GATEWAY_MAC = 'fa163e000901';
/** The endpoint: an address of the underlay's switch. */
export const ENDPOINT = '192.168.33.40';
/** Of the server; sessions are shared among them, so that no socket has all to hold. */
export const SERVER_PORTS = Array.from({ length: 8 }, (_, i) => 7100 + i);

export interface Session {
  readonly vni: number;
  readonly address: number;
  readonly port: number;
  readonly serverPort: number;
}

/** The session of a number; every five-tuple is another. */
export function sessionOf(index: number): Session {
  const vm = Math.floor(index / PORTS_PER_VM);
  return { vni: FIRST_VNI + (vm % ROUTERS), address: FIRST_VM + vm, port: FIRST_PORT + (index % PORTS_PER_VM), serverPort: SERVER_PORTS[index % SERVER_PORTS.length]! };
}

/** Which of so many: a bit each, as text that a line of JSON holds. */
export class Marks {
  readonly #bits: Buffer;
  count = 0;

  constructor(size: number, text?: string) {
    this.#bits = text === undefined ? Buffer.alloc(Math.ceil(size / 8)) : Buffer.from(text, 'base64');
  }

  has(index: number): boolean {
    return (this.#bits[index >> 3]! & (1 << (index & 7))) !== 0;
  }

  add(index: number): void {
    if (this.has(index)) return;
    this.#bits[index >> 3]! |= 1 << (index & 7);
    this.count += 1;
  }

  toString(): string {
    return this.#bits.toString('base64');
  }
}

/** Calls `send` for each that is not among `done`, so many in a second, while others get their turn. */
export async function paced(size: number, done: Marks, perSecond: number, send: (index: number) => void, step = 1): Promise<number> {
  const started = process.hrtime.bigint();
  let sent = 0;
  for (let index = 0; index < size; index += step) {
    if (done.has(index)) continue;
    send(index);
    sent += 1;
    if (sent % 32 !== 0) continue;
    do await new Promise((resolve) => setImmediate(resolve));
    while (Number(process.hrtime.bigint() - started) / 1e9 < sent / perSecond);
  }
  return sent;
}
