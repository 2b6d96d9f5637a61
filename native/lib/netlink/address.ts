/** Addresses as people write them and as the kernel wants them. */

/** Bytes of a dotted-decimal IPv4 address. @throws RangeError if it is none. */
export function parseIpv4(text: string): Buffer {
  const octets = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (octets === undefined || octets.some((octet) => octet > 255)) throw new RangeError(`'${text}' is not an IPv4 address`);
  return Buffer.from(octets);
}

export function formatIpv4(bytes: Buffer): string {
  return [...bytes].join('.');
}

/** 'a.b.c.d/n', 'a.b.c.d' (n = 32) or 'default'. @throws RangeError if it is none of them. */
export function parsePrefix(text: string): { address: Buffer; length: number } {
  if (text === 'default') return { address: Buffer.alloc(4), length: 0 };
  const [address = '', length = '32', ...rest] = text.split('/');
  if (rest.length > 0 || !/^\d{1,2}$/.test(length) || Number(length) > 32) {
    throw new RangeError(`'${text}' is not an IPv4 prefix`);
  }
  return { address: parseIpv4(address), length: Number(length) };
}

/** Bytes of aa:bb:cc:dd:ee:ff. @throws RangeError if it is no MAC address. */
export function parseMac(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new RangeError(`'${text}' is not a MAC address`);
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

/** Also of other lengths than six, as tunnels have them. */
export function formatMac(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
