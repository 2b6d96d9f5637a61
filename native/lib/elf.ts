/**
 * The little of ELF that is needed to find a section of an object file by its
 * name. The bytes are not trusted: every offset is checked before it is used.
 */

const IDENTIFICATION = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const FILE_HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const SECTION_NO_BITS = 8;
const FLAG_COMPRESSED = 0x800n;

/** The bytes are not an ELF64 little-endian file, or they contradict themselves. */
export class ElfError extends Error {
  readonly code = 'ERR_ELF';
  override readonly name = 'ElfError';
}

interface SectionHeader {
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: bigint;
  readonly bytes: { readonly start: number; readonly end: number };
}

export function isElf(file: Buffer): boolean {
  return file.length >= 4 && file.subarray(0, 4).equals(IDENTIFICATION);
}

/**
 * The bytes of the first section called `name`, as a view of `file`.
 * @returns undefined if the file has no such section.
 * @throws {ElfError} if the file is not a well-formed ELF64 little-endian file.
 */
export function elfSection(file: Buffer, name: string): Buffer | undefined {
  const headers = sectionHeaders(file);
  const names = headers[file.readUInt16LE(62)];
  if (names === undefined) throw new ElfError('ELF file has no section of section names');
  for (const header of headers) {
    if (sectionName(file, names, header) !== name) continue;
    if (header.type === SECTION_NO_BITS) return Buffer.alloc(0);
    if ((header.flags & FLAG_COMPRESSED) !== 0n) throw new ElfError(`ELF section ${name} is compressed`);
    return file.subarray(header.bytes.start, header.bytes.end);
  }
  return undefined;
}

function sectionHeaders(file: Buffer): SectionHeader[] {
  if (!isElf(file) || file.length < FILE_HEADER_SIZE) throw new ElfError('not an ELF file');
  if (file[4] !== CLASS_64 || file[5] !== LITTLE_ENDIAN) throw new ElfError('not a 64-bit little-endian ELF file');
  const table = position(file.readBigUInt64LE(40), file, 'section table');
  const entrySize = file.readUInt16LE(58);
  const count = file.readUInt16LE(60);
  if (count > 0 && entrySize < SECTION_HEADER_SIZE) {
    throw new ElfError(`ELF section headers of ${entrySize} bytes are too short`);
  }
  if (table + count * entrySize > file.length) throw new ElfError('ELF section table exceeds the file');
  return Array.from({ length: count }, (_, index) => sectionHeader(file, table + index * entrySize));
}

function sectionHeader(file: Buffer, at: number): SectionHeader {
  const type = file.readUInt32LE(at + 4);
  const start = type === SECTION_NO_BITS ? 0 : position(file.readBigUInt64LE(at + 24), file, 'section');
  const size = type === SECTION_NO_BITS ? 0 : position(file.readBigUInt64LE(at + 32), file, 'section');
  if (start + size > file.length) throw new ElfError('ELF section exceeds the file');
  return {
    nameOffset: file.readUInt32LE(at),
    type,
    flags: file.readBigUInt64LE(at + 8),
    bytes: { start, end: start + size },
  };
}

function sectionName(file: Buffer, names: SectionHeader, header: SectionHeader): string {
  const start = names.bytes.start + header.nameOffset;
  const end = file.indexOf(0, start);
  if (start >= names.bytes.end || end < 0 || end >= names.bytes.end) {
    throw new ElfError('ELF section name exceeds its table');
  }
  return file.toString('latin1', start, end);
}

function position(value: bigint, file: Buffer, what: string): number {
  if (value > BigInt(file.length)) throw new ElfError(`ELF ${what} exceeds the file`);
  return Number(value);
}
