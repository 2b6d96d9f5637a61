/** Tells the service manager how we are (sd_notify(3)), if there is one. */
import { spawn } from 'node:child_process';

/**
 * Node has no unix datagram sockets, so systemd's own tool speaks for us; the
 * unit needs NotifyAccess=all. Does nothing without NOTIFY_SOCKET; a failure is
 * reported and otherwise ignored: whoever wants to know notices by its timeout.
 */
export function notifyServiceManager(state: 'READY=1' | 'STOPPING=1' | `STATUS=${string}`, onError: (message: string) => void): void {
  if (process.env['NOTIFY_SOCKET'] === undefined) return;
  const child = spawn('systemd-notify', [`--pid=${process.pid}`, state], { stdio: 'ignore' });
  child.once('error', (error) => onError(`systemd-notify cannot be run: ${error.message}`));
  child.unref();
}
