/**
 * The virtual MACs in the filters of the cards: a card drops frames for a unicast
 * address that is not its own, before any program. What is let in outlives the
 * daemon, as the programs do, so an account of it is kept in the state directory.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Of RouteNetlink. */
export interface FilterPorts {
  links(): Promise<readonly { readonly index: number; readonly name: string; readonly promiscuous: boolean }[]>;
  /** False: it has the address already. */
  addUnicastAddress(ifindex: number, mac: string): Promise<boolean>;
  removeUnicastAddress(ifindex: number, mac: string): Promise<void>;
  setLink(ifindex: number, settings: { readonly promiscuous: boolean }): Promise<void>;
}

export interface FilterLog {
  warn(sentence: string): void;
  error(sentence: string): void;
}

export interface FilterAddress {
  readonly name: string;
  readonly ifindex: number;
  /** aa:bb:cc:dd:ee:ff */
  readonly mac: string;
}

/** What we have changed on a card. Without `mac`: all frames are let in, for want of a filter. */
type Opening = Omit<FilterAddress, 'mac'> & { readonly mac?: string };

/** Lets in what is wanted and nothing else of ours. Never throws: what cannot be done is told. */
export async function openFilters(account: string, wanted: readonly FilterAddress[], ports: FilterPorts, log: FilterLog): Promise<void> {
  const before = readAccount(account);
  const now: Opening[] = [];
  for (const address of wanted) {
    const isThere = (opening: Opening): boolean => now.some((one) => isSame(one, opening));
    const opening = await open(address, (one) => isThere(one) || before.some((other) => isSame(one, other)), ports, log);
    if (opening !== undefined && !isThere(opening)) now.push(opening);
  }
  await close(before.filter((opening) => !now.some((one) => isSame(one, opening))), ports);
  try {
    writeAccount(account, now);
  } catch (error) {
    log.error(`what the cards let in will not be taken back: ${(error as Error).message}`);
  }
}

/** Takes everything back. */
export async function closeFilters(account: string, ports: FilterPorts): Promise<void> {
  await close(readAccount(account), ports);
  rmSync(account, { force: true });
}

/** Undefined: nothing that is ours to take back. */
async function open(address: FilterAddress, isOurs: (opening: Opening) => boolean, ports: FilterPorts, log: FilterLog): Promise<Opening | undefined> {
  const { name, ifindex, mac } = address;
  try {
    return (await ports.addUnicastAddress(ifindex, mac)) || isOurs(address) ? { name, ifindex, mac } : undefined;
  } catch (error) {
    return await openWide({ name, ifindex }, isOurs, (error as Error).message, ports, log);
  }
}

async function openWide(opening: Opening, isOurs: (opening: Opening) => boolean, why: string, ports: FilterPorts, log: FilterLog): Promise<Opening | undefined> {
  const { name, ifindex } = opening;
  try {
    const link = (await ports.links()).find(({ index }) => index === ifindex);
    if (link?.promiscuous === true) return isOurs(opening) ? opening : undefined;
    await ports.setLink(ifindex, { promiscuous: true });
    log.warn(`interface ${name} is promiscuous now, for it takes no further unicast address: ${why}`);
    return opening;
  } catch (error) {
    log.error(`interface ${name} may drop frames for the virtual MAC (ip link set dev ${name} promisc on): ${why}; ${(error as Error).message}`);
    return undefined;
  }
}

/** What has gone by itself, as with its interface, need not be taken back. */
async function close(openings: readonly Opening[], ports: FilterPorts): Promise<void> {
  if (openings.length === 0) return;
  const links = await ports.links().catch(() => []);
  for (const { name, ifindex, mac } of openings) {
    if (!links.some((link) => link.index === ifindex && link.name === name)) continue;
    const taken = mac === undefined ? ports.setLink(ifindex, { promiscuous: false }) : ports.removeUnicastAddress(ifindex, mac);
    await taken.catch(() => undefined);
  }
}

function isSame(one: Opening, other: Opening): boolean {
  return one.name === other.name && one.ifindex === other.ifindex && one.mac === other.mac;
}

/** One that cannot be read is none. */
function readAccount(file: string): Opening[] {
  if (!existsSync(file)) return [];
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Opening[];
  } catch {
    return [];
  }
}

/** Atomic: a daemon that dies meanwhile leaves the earlier one. */
function writeAccount(file: string, openings: readonly Opening[]): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(openings)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
