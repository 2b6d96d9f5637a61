/** Addresses as people write them, and bytes as people read them. */

/** '172.16.100.1' → 0xac106401. Throws on anything else. */
export function ipv4ToNumber(text: string): number {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) {
    throw new Error(`not an IPv4 address: ${text}`);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function numberToIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
}

/** 'fa:16:3e:00:01:01' → six bytes. Throws on anything else. */
export function macToBuffer(text: string): Buffer {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) throw new Error(`not a MAC address: ${text}`);
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

export function bufferToMac(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Sixteen bytes a line; bytes where `different` says so stand in brackets. */
export function hexdump(bytes: Uint8Array, different: (offset: number) => boolean = () => false): string {
  const lines: string[] = [];
  for (let start = 0; start < bytes.length; start += 16) {
    const row = [...bytes.subarray(start, start + 16)].map((byte, column) => {
      const hex = byte.toString(16).padStart(2, '0');
      return different(start + column) ? `[${hex}]` : ` ${hex} `;
    });
    lines.push(`${start.toString(16).padStart(4, '0')} ${row.join('')}`);
  }
  return lines.join('\n');
}
