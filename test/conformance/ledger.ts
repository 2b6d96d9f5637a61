/**
 * The ledger of requirements: Markdown tables of what an RFC asks, our verdict, and the tests that show it.
 * A verdict is worth what its tests are: `holds` counts only while every test that the row names passes.
 */

export const levels = ['MUST', 'SHOULD', 'RECOMMENDED', 'MAY'] as const;
export type Level = (typeof levels)[number];

export const verdicts = ['holds', 'open', 'not held', 'does not apply'] as const;
export type Verdict = (typeof verdicts)[number];

/** `*` in the name stands for anything: all tests that fit are meant. */
export interface TestReference {
  readonly file: string;
  readonly name: string;
}

export interface Row {
  /** `RFC 4787`: what the heading above the table begins with. */
  readonly document: string;
  readonly id: string;
  readonly level: Level;
  readonly requirement: string;
  readonly verdict: Verdict;
  /** Why, where the verdict is not `holds`. */
  readonly reason: string;
  readonly tests: readonly TestReference[];
  /** Whose MUSTs have to hold as well, as `RFC 4787`. */
  readonly documents: readonly string[];
  /** `file:line`, for people. */
  readonly at: string;
}

export interface Ledger {
  readonly rows: readonly Row[];
  /** One sentence each, with file and line. */
  readonly problems: readonly string[];
}

const COLUMNS = ['id', 'level', 'requirement', 'verdict', 'tests'];

/** Reads the tables below `##` headings; anything above the first one is prose. */
export function parseLedger(path: string, text: string): Ledger {
  const rows: Row[] = [];
  const problems: string[] = [];
  let document: string | undefined;
  let tableLine = 0;

  for (const [index, line] of text.split('\n').entries()) {
    const at = `${path}:${index + 1}`;
    if (line.startsWith('## ')) document = line.slice(3).split(' — ')[0]!.trim();
    tableLine = line.startsWith('|') ? tableLine + 1 : 0;
    if (tableLine === 0 || document === undefined) continue;

    const cells = cellsOf(line);
    if (tableLine === 1 && cells.join() !== COLUMNS.join()) problems.push(`${at}: a table has to begin with | ${COLUMNS.join(' | ')} |`);
    if (tableLine <= 2) continue;
    if (cells.length !== COLUMNS.length) {
      problems.push(`${at}: ${cells.length} cells instead of ${COLUMNS.length}; a bar inside of a cell is written \\|`);
      continue;
    }
    const row = parseRow(at, document, cells, problems);
    if (rows.some((other) => other.document === row.document && other.id === row.id)) problems.push(`${at}: ${document} ${row.id} is there twice`);
    rows.push(row);
  }
  if (rows.length === 0) problems.push(`${path}: no rows`);
  return { rows, problems };
}

function cellsOf(line: string): string[] {
  return line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function parseRow(at: string, document: string, cells: readonly string[], problems: string[]): Row {
  const [id, level, requirement, judgement, tests] = cells as [string, string, string, string, string];
  const [, verdict, reason = ''] = /^([^:]*)(?:: (.+))?$/.exec(judgement) ?? [];
  if (id === '' || requirement === '') problems.push(`${at}: a row needs an id and a requirement`);
  if (!levels.includes(level as Level)) problems.push(`${at}: '${level}' is no level; there are ${levels.join(', ')}`);
  if (!verdicts.includes(verdict as Verdict)) problems.push(`${at}: '${judgement}' is no verdict; there are ${verdicts.join(', ')}, all but the first with ': reason'`);
  else if ((verdict === 'holds') !== (reason === '')) problems.push(`${at}: '${verdict}' ${reason === '' ? 'needs a reason behind a colon' : 'takes no reason'}`);
  const cited = tests === '' ? [] : tests.split('<br>').map((reference) => reference.trim());
  const documents = cited.flatMap((text) => /^`(RFC \d+)`$/.exec(text)?.[1] ?? []);
  const references = cited.filter((text) => !documents.includes(text.slice(1, -1))).flatMap((text) => parseReference(at, text, problems));
  if (verdict === 'holds' && cited.length === 0) problems.push(`${at}: ${document} ${id} holds, but no test shows it`);
  return { document, id, level: level as Level, requirement, verdict: verdict as Verdict, reason, tests: references, documents, at };
}

function parseReference(at: string, text: string, problems: string[]): TestReference[] {
  const [, file, name] = /^`(\S+\.test\.ts) › ([^`]+)`$/.exec(text) ?? [];
  if (file !== undefined && name !== undefined) return [{ file, name }];
  problems.push(`${at}: '${text}' is no test; write \`file.test.ts › describe > it\`, with <br> between several`);
  return [];
}

/** Whether two names can be the same one, where `*` in either stands for anything. */
export function fits(left: string, right: string): boolean {
  // Most pairs differ before the first star.
  const [begin, other] = [left.split('*', 1)[0]!, right.split('*', 1)[0]!];
  if (!begin.startsWith(other) && !other.startsWith(begin)) return false;
  /** reached[j]: the part of `left` that was read fits the first j characters of `right`. */
  let reached = Array.from({ length: right.length + 1 }, (_, j) => /^\**$/.test(right.slice(0, j)));
  for (const character of left) {
    const next: boolean[] = [];
    for (let j = 0; j <= right.length; j++) {
      const before = right[j - 1];
      if (j === 0) next.push(character === '*' && reached[0]!);
      else if (character === '*' || before === '*') next.push(reached[j]! || next[j - 1]! || reached[j - 1]!);
      else next.push(character === before && reached[j - 1]!);
    }
    reached = next;
  }
  return reached[right.length]!;
}

/** Names of the tests of one file, as they are written there: `*` where a name is computed. */
export type TestNames = (file: string) => readonly { readonly name: string; readonly skipped: boolean }[] | undefined;

/** What is wrong with the tests that rows name, known without running any. */
export function checkReferences(rows: readonly Row[], namesOf: TestNames): string[] {
  /** Many rows name the same test. */
  const known = new Map<string, ReturnType<typeof namesOf>>();
  const found = ({ file, name }: TestReference): ReturnType<typeof namesOf> => {
    const key = `${file} › ${name}`;
    if (!known.has(key)) known.set(key, namesOf(file)?.filter((test) => fits(test.name, name)));
    return known.get(key);
  };
  return rows.flatMap((row) => [
    ...row.documents.filter((name) => name === row.document || !rows.some(({ document }) => document === name)).map((name) => `${row.at}: ${row.document} ${row.id} names ${name}, which no other table is about`),
    ...row.tests.flatMap((reference) => {
      const { file, name } = reference;
      const tests = found(reference);
      if (tests === undefined) return [`${row.at}: ${row.document} ${row.id} names ${file}, which does not exist`];
      if (tests.length === 0) return [`${row.at}: ${row.document} ${row.id} names a test that ${file} does not have: ${name}`];
      return tests.some(({ skipped }) => skipped) ? [`${row.at}: ${row.document} ${row.id} names a test that is skipped: ${file} › ${name}`] : [];
    }),
  ]);
}

export type TestState = 'passed' | 'failed' | 'skipped';
/** By file, then by full name. A file that did not run is not in it. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, TestState>>;

export interface JudgedRow extends Row {
  readonly state: 'passed' | 'failed' | 'not run' | Exclude<Verdict, 'holds'>;
  /** Which tests did not pass. */
  readonly failures: readonly string[];
}

/** A row that names a document holds only while every MUST of that one does. */
export function judge(rows: readonly Row[], results: Results): JudgedRow[] {
  const byTests = rows.map((row) => judgeByTests(row, results));
  return byTests.map((row) => {
    if (row.documents.length === 0 || row.verdict !== 'holds') return row;
    const required = byTests.filter(({ document, level }) => level === 'MUST' && row.documents.includes(document));
    const failures = [...row.failures, ...required.filter(isFailure).map(({ document, id, state }) => `${state}: ${document} ${id}`)];
    if (failures.length > 0) return { ...row, state: 'failed', failures };
    const ran = [...required, ...(row.tests.length > 0 ? [row] : [])].some(({ state }) => state === 'passed');
    return { ...row, state: ran ? 'passed' : 'not run', failures };
  });
}

function judgeByTests(row: Row, results: Results): JudgedRow {
  if (row.verdict !== 'holds') return { ...row, state: row.verdict, failures: [] };
  const ran = row.tests.filter(({ file }) => results.has(file));
  const failures = ran.flatMap(({ file, name }) => {
    const found = [...results.get(file)!].filter(([test]) => fits(name, test));
    if (found.length === 0) return [`did not run: ${file} › ${name}`];
    return found.filter(([, state]) => state !== 'passed').map(([test, state]) => `${state}: ${file} › ${test}`);
  });
  if (failures.length > 0) return { ...row, state: 'failed', failures };
  return { ...row, state: ran.length === 0 ? 'not run' : 'passed', failures };
}

/** Whether a row has to be changed, or what it says of us: an unheld MUST, or a promise whose tests do not pass. */
export function isFailure({ level, state }: JudgedRow): boolean {
  return state === 'failed' || (level === 'MUST' && (state === 'open' || state === 'not held'));
}

export interface Totals {
  /** Of which document, or of which ledger. */
  readonly document: string;
  readonly rows: number;
  readonly musts: number;
  /** Of the MUSTs. */
  readonly passed: number;
  readonly failed: number;
  readonly notRun: number;
  readonly notApplicable: number;
  /** Rows of the other levels, and how many of them passed. */
  readonly others: number;
  readonly othersPassed: number;
}

export function totalsOf(document: string, rows: readonly JudgedRow[]): Totals {
  const musts = rows.filter(({ level }) => level === 'MUST');
  const others = rows.filter(({ level }) => level !== 'MUST');
  const count = (state: JudgedRow['state']): number => musts.filter((row) => row.state === state).length;
  return {
    document,
    rows: rows.length,
    musts: musts.length,
    passed: count('passed'),
    failed: musts.filter(isFailure).length,
    notRun: count('not run'),
    notApplicable: count('does not apply'),
    others: others.length,
    othersPassed: others.filter(({ state }) => state === 'passed').length,
  };
}
