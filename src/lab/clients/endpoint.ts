// An IPv4 address and a port in six bytes, network order.

export const endpointBytes = 6;

export function encodeEndpoint(address: string, port: number): Buffer {
  const bytes = Buffer.from([...address.split('.').map(Number), 0, 0]);
  bytes.writeUInt16BE(port, 4);
  return bytes;
}

/** Returns 'address:port'. */
export function decodeEndpoint(bytes: Buffer): string {
  return `${[...bytes.subarray(0, 4)].join('.')}:${bytes.readUInt16BE(4)}`;
}
