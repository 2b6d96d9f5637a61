/** `npm run ledger`: reads every ledger of this folder, runs the tests that they name, prints what holds. */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { TestModule, Vitest } from 'vitest/node';
import { checkReferences, isFailure, judge, parseLedger, totalsOf, type JudgedRow, type Ledger, type Results, type TestState, type Totals } from './ledger.js';
import { testsOfFile } from './named-tests.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = 'test/conformance';

/** All ledgers of this folder, as one; whatever can be wrong with them before a test has run is among the problems. */
export function readLedgers(): Ledger {
  const paths = readdirSync(join(root, folder)).filter((name) => name.endsWith('.md')).sort().map((name) => join(folder, name));
  const ledgers = paths.map((path) => parseLedger(path, readFileSync(join(root, path), 'utf8')));
  const rows = ledgers.flatMap((ledger) => ledger.rows);
  const known = new Map<string, ReturnType<typeof testsOfFile>>();
  const namesOf = (file: string): ReturnType<typeof testsOfFile> => {
    if (!known.has(file)) known.set(file, testsOfFile(join(root, file)));
    return known.get(file);
  };
  return { rows, problems: [...ledgers.flatMap(({ problems }) => problems), ...checkReferences(rows, namesOf)] };
}

/** The exit status: 0 where every MUST is held and every test that a row names has passed. */
export async function runLedger(vitest: Vitest, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean' }, results: { type: 'string' } } });
  const { rows, problems } = readLedgers();
  const results = values.results === undefined ? await runTests(vitest, rows.flatMap(({ tests }) => tests.map(({ file }) => file))) : readResults(values.results);
  const judged = judge(rows, results);
  const totals = [...totalsBy(judged, ({ document }) => document), ...totalsBy(judged, ledgerOf), totalsOf('total', judged)];
  process.stdout.write(values.json ? `${JSON.stringify({ totals, problems, rows: judged }, null, 2)}\n` : report(totals, problems, judged));
  return problems.length > 0 || judged.some(isFailure) ? 1 : 0;
}

function totalsBy(rows: readonly JudgedRow[], nameOf: (row: JudgedRow) => string): Totals[] {
  return [...new Set(rows.map(nameOf))].map((name) => totalsOf(name, rows.filter((row) => nameOf(row) === name)));
}

/** `VRRP.md`. */
export function ledgerOf({ at }: { readonly at: string }): string {
  return basename(at.replace(/:\d+$/, ''));
}

/** Runs the files; those of another project than `unit` (the lab takes minutes) stay without a result. */
async function runTests(vitest: Vitest, files: readonly string[]): Promise<Results> {
  const specifications = await vitest.globTestSpecifications([...new Set(files)]);
  process.stderr.write(`running the tests of ${specifications.length} files\n`);
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
  for (const error of unhandledErrors) process.stderr.write(`${String(error)}\n`);
  for (const module of testModules) {
    for (const { message } of module.errors()) process.stderr.write(`${relative(root, module.moduleId)} cannot be loaded: ${message.split('\n', 1)[0]}\n`);
  }
  return new Map(testModules.map((module) => [relative(root, module.moduleId), statesOf(module)]));
}

function statesOf(module: TestModule): Map<string, TestState> {
  return worstByName([...module.children.allTests()].map((test) => [test.fullName, test.result().state]));
}

interface JsonResults {
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly { readonly ancestorTitles: readonly string[]; readonly title: string; readonly status: string }[] }[];
}

/** What `vitest --reporter=json` wrote of this clone. */
function readResults(path: string): Results {
  const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as JsonResults;
  return new Map(
    testResults.map(({ name, assertionResults }) => [
      relative(root, name),
      worstByName(assertionResults.map(({ ancestorTitles, title, status }) => [[...ancestorTitles, title].join(' > '), status])),
    ]),
  );
}

/** Cases of one table may print the same name: then the worst of them counts. */
function worstByName(tests: readonly (readonly [string, string])[]): Map<string, TestState> {
  const states = new Map<string, TestState>();
  for (const [name, status] of tests) {
    const state = status === 'passed' || status === 'failed' ? status : 'skipped';
    if (states.get(name) === undefined || state !== 'passed') states.set(name, state);
  }
  return states;
}

function report(totals: readonly Totals[], problems: readonly string[], rows: readonly JudgedRow[]): string {
  const header = ['', 'rows', 'MUST', 'passed', 'failed', 'not run', 'not ours', 'SHOULD, MAY', 'passed'];
  const table = [header, ...totals.map((t) => [t.document, t.rows, t.musts, t.passed, t.failed, t.notRun, t.notApplicable, t.others, t.othersPassed].map(String))];
  const firstWidth = Math.max(...table.map(([name]) => name!.length)) + 1;
  const lines = table.map((cells) => cells.map((cell, i) => (i === 0 ? cell.padEnd(firstWidth) : cell.padStart(header[i]!.length + 2))).join(''));
  const notable = rows.filter((row) => isFailure(row) || row.state === 'open' || row.state === 'not held');
  for (const { document, id, level, state, reason, failures, at } of notable) {
    lines.push('', `${document} ${id} (${level}) ${state}${reason && `: ${reason}`}  ${at}`, ...failures.map((failure) => `  ${failure}`));
  }
  return `${[...lines, ...(problems.length > 0 ? ['', ...problems] : [])].join('\n')}\n`;
}
