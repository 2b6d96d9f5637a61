/** Packets and bytes of every floating IP: only where the configuration wants so many time series. */
import { Counter } from 'prom-client';
import type { Registry } from 'prom-client';

interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

export interface FloatingIpTraffic {
  readonly address: string;
  /** One address can be in several VLANs, of different routers. */
  readonly router: string;
  readonly inbound: Traffic;
  readonly outbound: Traffic;
}

/** `read` resolves with nothing while nobody wants them. */
export function floatingIpMetrics(registry: Registry, read: () => Promise<readonly FloatingIpTraffic[]>): void {
  perFloatingIp(registry, 'floatgate_floating_ip_packets_total', 'Packets translated for a floating IP', ({ packets }) => packets, read);
  perFloatingIp(registry, 'floatgate_floating_ip_bytes_total', 'Bytes of IPv4 packets translated for a floating IP', ({ bytes }) => bytes, read);
}

function perFloatingIp(registry: Registry, name: string, help: string, value: (traffic: Traffic) => number, read: () => Promise<readonly FloatingIpTraffic[]>): void {
  new Counter({
    name, help, labelNames: ['address', 'router', 'direction'], registers: [registry],
    async collect() {
      const all = await read();
      this.reset();
      for (const { address, router, inbound, outbound } of all) {
        this.inc({ address, router, direction: 'inbound' }, value(inbound));
        this.inc({ address, router, direction: 'outbound' }, value(outbound));
      }
    },
  });
}
