/** The key that both gateways share, as the programs take it. */

/** Two 64-bit words of SipHash-2-4's key, little-endian as in its reference. */
export type SyncKey = readonly [bigint, bigint];

/**
 * @param text content of sync.keyFile: 32 hexadecimal digits, white space around them is ignored
 * @throws Error with one sentence; never with the key
 */
export function parseSyncKey(text: string, file: string): SyncKey {
  const digits = text.trim();
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) {
    throw new Error(`sync.keyFile: ${file} must hold 32 hexadecimal digits (openssl rand -hex 16), it has ${digits.length} characters`);
  }
  const bytes = Buffer.from(digits, 'hex');
  return [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)];
}
