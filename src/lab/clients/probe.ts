// A numbered datagram every millisecond, echoed by the other side: how long was the path interrupted, and what was lost?
// usage: probe ADDRESS PORT PER_SECOND     commands: start, window {fromMs, toMs}, stop
import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../clock.js';
import { argument, serveCommands } from './control.js';
import { ProbeLog } from './probe-log.js';

const payloadBytes = 16;
const address = argument(1, 'ADDRESS');
const port = Number(argument(2, 'PORT'));
const intervalMs = 1000 / Number(argument(3, 'PER_SECOND'));
/** A reply that takes longer than this is lost to any client. */
const patienceMs = 2000;

const log = new ProbeLog();
const socket = createSocket('udp4');
socket.on('error', () => {}); // an ICMP error is a lost datagram, which is counted anyway
socket.on('message', (reply) => {
  if (reply.length >= payloadBytes) log.receive(reply.readUInt32BE(0), monotonicMs());
});

let timer: NodeJS.Timeout | undefined;

/** Timers come late when the machine is busy; what is due is then sent at once, so that the count per second holds. */
function start(): void {
  const started = monotonicMs();
  let sent = 0;
  timer = setInterval(() => {
    const due = Math.floor((monotonicMs() - started) / intervalMs);
    for (; sent < due; sent += 1) sendOne();
  }, 1);
}

function sendOne(): void {
  const payload = Buffer.alloc(payloadBytes);
  payload.writeUInt32BE(log.send(monotonicMs()), 0);
  socket.send(payload, port, address, () => {});
}

async function window(args: Record<string, unknown>): Promise<object> {
  const toMs = Number(args['toMs']);
  const end = monotonicMs() + patienceMs;
  while (!log.isAnsweredAfter(toMs) && monotonicMs() < end) await delay(10);
  return log.window(Number(args['fromMs']), toMs);
}

serveCommands({
  start,
  received: () => ({ received: log.received }),
  window,
  stop: () => clearInterval(timer),
});
