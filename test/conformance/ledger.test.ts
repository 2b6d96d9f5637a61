/** The ledger's own tests, and that what it says of our tests exists. */
import { describe, expect, it } from 'vitest';
import { checkReferences, fits, isFailure, judge, parseLedger, totalsOf, type Results, type Row, type TestState } from './ledger.js';
import { testsOfSource } from './named-tests.js';
import { ledgerOf, readLedgers } from './run.js';

const head = ['# Prose', '', '| any | table |', '|---|---|', '', '## RFC 9999 — examples', '', '| id | level | requirement | verdict | tests |', '|---|---|---|---|---|'];
const TEST = '`a.test.ts › outer > inner`';
const parse = (...rows: string[]): ReturnType<typeof parseLedger> => parseLedger('X.md', [...head, ...rows].join('\n'));
const row = (change: Partial<Row> = {}): Row => ({
  document: 'RFC 9999', id: 'REQ-1', level: 'MUST', requirement: 'Be.', verdict: 'holds', reason: '', tests: [{ file: 'a.test.ts', name: 'outer > inner' }], documents: [], at: 'X.md:10', ...change,
});
const results = (tests: Record<string, TestState>): Results => new Map([['a.test.ts', new Map(Object.entries(tests))]]);

describe('parseLedger', () => {
  it('a row is read, with every test that it names', () => {
    expect(parse(`| REQ-1 | MUST | Be \\| not. | holds | ${TEST}<br>\`b.test.ts › * > c\` |`)).toEqual({
      rows: [row({ requirement: 'Be | not.', tests: [...row().tests, { file: 'b.test.ts', name: '* > c' }] })],
      problems: [],
    });
  });

  it('a document stands for all of its MUSTs', () => {
    expect(parse(`| REQ-1 | MUST | Be. | holds | ${TEST}<br>\`RFC 9998\` |`)).toEqual({ rows: [row({ documents: ['RFC 9998'] })], problems: [] });
  });

  it('the other verdicts have reasons', () => {
    const { rows, problems } = parse('| REQ-1 | MAY | Be. | not held: too dear: for now |  |', '| REQ-2 | MUST | Be. | open: tomorrow | |');
    expect(problems).toEqual([]);
    expect(rows.map(({ verdict, reason }) => [verdict, reason])).toEqual([['not held', 'too dear: for now'], ['open', 'tomorrow']]);
  });

  it('one id may stand in two tables', () => {
    expect(parse(`| REQ-1 | MUST | Be. | holds | ${TEST} |`, '', '## RFC 9998', ...head.slice(-2), `| REQ-1 | MUST | Be. | holds | ${TEST} |`).problems).toEqual([]);
  });

  it.each([
    ['unknown level', `| REQ-1 | SHALL | Be. | holds | ${TEST} |`, "X.md:10: 'SHALL' is no level; there are MUST, SHOULD, RECOMMENDED, MAY"],
    ['unknown verdict', `| REQ-1 | MUST | Be. | maybe | ${TEST} |`, "X.md:10: 'maybe' is no verdict; there are holds, open, not held, does not apply, all but the first with ': reason'"],
    ['no reason', '| REQ-1 | MUST | Be. | not held | |', "X.md:10: 'not held' needs a reason behind a colon"],
    ['a reason too many', `| REQ-1 | MUST | Be. | holds: mostly | ${TEST} |`, "X.md:10: 'holds' takes no reason"],
    ['no test', '| REQ-1 | MUST | Be. | holds | |', 'X.md:10: RFC 9999 REQ-1 holds, but no test shows it'],
    ['malformed test', '| REQ-1 | MUST | Be. | holds | a.test.ts, inner |', "X.md:10: 'a.test.ts, inner' is no test; write `file.test.ts › describe > it`, with <br> between several"],
    ['a bar too many', `| REQ-1 | MUST | Be | not. | holds | ${TEST} |`, 'X.md:10: 6 cells instead of 5; a bar inside of a cell is written \\|'],
    ['nothing required', `| REQ-1 | MUST | | holds | ${TEST} |`, 'X.md:10: a row needs an id and a requirement'],
  ])('%s', (_, line, problem) => {
    expect(parse(line).problems).toContain(problem);
  });

  it('duplicate id', () => {
    expect(parse(`| REQ-1 | MUST | Be. | holds | ${TEST} |`, `| REQ-1 | MAY | Be. | holds | ${TEST} |`).problems).toEqual(['X.md:11: RFC 9999 REQ-1 is there twice']);
  });

  it('another table', () => {
    expect(parseLedger('X.md', '## RFC 9999\n| id | tests |\n|---|---|\n').problems).toEqual(['X.md:2: a table has to begin with | id | level | requirement | verdict | tests |', 'X.md: no rows']);
  });
});

describe('fits', () => {
  it.each([
    ['outer > inner', 'outer > inner', true],
    ['outer > inner', 'outer > inne', false],
    ['outer > *', 'outer > inner', true],
    ["outer / '*' > inner", "outer / 'udp' > inner", true],
    ["outer / * > plain*", 'outer / * > * header', true],
    ['outer / * > a', 'outer / * > b', false],
    ['*', '', true],
    ['', 'a', false],
    ['**a', 'a', true],
  ])('%s and %s: %s', (left, right, expected) => {
    expect([fits(left, right), fits(right, left)]).toEqual([expected, expected]);
  });
});

describe('checkReferences', () => {
  const names = (file: string) => (file === 'a.test.ts' ? [{ name: 'outer > inner', skipped: false }, { name: 'outer > later', skipped: true }] : undefined);
  const check = (file: string, name: string): string[] => checkReferences([row({ tests: [{ file, name }] })], names);

  it('a test that exists', () => expect(check('a.test.ts', 'outer > inner')).toEqual([]));
  it('missing file', () => expect(check('b.test.ts', 'x')).toEqual(['X.md:10: RFC 9999 REQ-1 names b.test.ts, which does not exist']));
  it('missing test', () => expect(check('a.test.ts', 'outer > else')).toEqual(['X.md:10: RFC 9999 REQ-1 names a test that a.test.ts does not have: outer > else']));
  it('a document that no table is about, or the row\'s own', () => {
    const rows = [row({ documents: ['RFC 1', 'RFC 9998', 'RFC 9999'] }), row({ document: 'RFC 9998' })];
    expect(checkReferences(rows, names)).toEqual(['RFC 1', 'RFC 9999'].map((name) => `X.md:10: RFC 9999 REQ-1 names ${name}, which no other table is about`));
  });
  it('skipped test, alone or among others', () => {
    for (const name of ['outer > later', 'outer > *']) expect(check('a.test.ts', name)).toEqual([`X.md:10: RFC 9999 REQ-1 names a test that is skipped: a.test.ts › ${name}`]);
  });
});

describe('testsOfSource', () => {
  it('knows every way to write a title', () => {
    const source = `
      describe('a', () => {
        it('b', () => {});
        it.each<[string]>([['x']])('%s of $name.first', () => {});
        for (const x of xs) it(\`\${x} of y\`, () => {});
        it(title, () => {});
        it.skip('c', named);
        it.todo('d');
        describe.skip('e', () => it("f > g", () => {}));
      });
      describe.each(cases)('h / $name', () => it.runIf(root)('100% sure', () => {}));
      /x/.test('no test');
    `;
    expect(testsOfSource(source)).toEqual([
      ['a > b', false], ['a > * of *', false], ['a > * of y', false], ['a > *', false], ['a > c', true], ['a > d', true], ['a > e > f > g', true], ['h / * > 100% sure', false],
    ].map(([name, skipped]) => ({ name, skipped })));
  });
});

describe('judge', () => {
  const failures = (tests: Record<string, TestState>, name = 'outer > inner') => judge([row({ tests: [{ file: 'a.test.ts', name }] })], results(tests))[0]!;
  const alone = (change: Partial<Row>, tests: Record<string, TestState> = {}) => judge([row(change)], Object.keys(tests).length > 0 ? results(tests) : new Map())[0]!;

  it('every test that fits has to pass', () => {
    expect(failures({ 'outer > inner': 'passed' })).toMatchObject({ state: 'passed', failures: [] });
    expect(failures({ 'outer > inner': 'passed', 'outer > other': 'failed' }, 'outer > *')).toMatchObject({ state: 'failed', failures: ['failed: a.test.ts › outer > other'] });
    expect(failures({ 'outer > inner': 'skipped' })).toMatchObject({ state: 'failed', failures: ['skipped: a.test.ts › outer > inner'] });
  });

  it('a test that its file did not run is a failure, a file that did not run is none', () => {
    expect(failures({})).toMatchObject({ state: 'failed', failures: ['did not run: a.test.ts › outer > inner'] });
    expect(alone({})).toMatchObject({ state: 'not run' });
  });

  it('a row that names a document holds with every MUST of it, and with no others', () => {
    const stateWith = (change: Partial<Row>, tests: Record<string, TestState> = { 'outer > inner': 'passed' }) =>
      judge([row({ tests: [], documents: ['RFC 9998'] }), row({ document: 'RFC 9998', ...change })], results(tests))[0]!;
    expect(stateWith({})).toMatchObject({ state: 'passed', failures: [] });
    expect(stateWith({ verdict: 'not held' })).toMatchObject({ state: 'failed', failures: ['not held: RFC 9998 REQ-1'] });
    expect(stateWith({}, { 'outer > inner': 'failed' })).toMatchObject({ state: 'failed', failures: ['failed: RFC 9998 REQ-1'] });
    expect(stateWith({ tests: [{ file: 'b.test.ts', name: 'x' }] })).toMatchObject({ state: 'not run' });
    expect(judge([row({ documents: ['RFC 9998'] }), row({ document: 'RFC 9998', level: 'MAY', verdict: 'not held' })], results({ 'outer > inner': 'passed' }))[0]).toMatchObject({ state: 'passed' });
  });

  it.each(['open', 'not held'] as const)('%s is a failure of a MUST only', (verdict) => {
    expect(isFailure(alone({ verdict }))).toBe(true);
    expect(isFailure(alone({ verdict, level: 'SHOULD' }))).toBe(false);
  });

  it('what does not apply is no failure, and a promise that is broken is one at any level', () => {
    expect(isFailure(alone({ verdict: 'does not apply' }))).toBe(false);
    expect(isFailure(alone({ level: 'MAY' }, { 'outer > inner': 'failed' }))).toBe(true);
  });

  it('totals count MUSTs by what became of them', () => {
    const rows = [row(), row({ verdict: 'open' }), row({ verdict: 'not held' }), row({ verdict: 'does not apply' }), row({ tests: [{ file: 'b.test.ts', name: 'x' }] }), row({ level: 'MAY' }), row({ level: 'SHOULD', verdict: 'open' })];
    const judged = judge(rows, results({ 'outer > inner': 'passed' }));
    expect(totalsOf('all', judged)).toEqual({ document: 'all', rows: 7, musts: 5, passed: 1, failed: 2, notRun: 1, notApplicable: 1, others: 2, othersPassed: 1 });
  });
});

describe('the ledgers of this folder', () => {
  const ledgers = readLedgers();

  it('are well-formed, and every test that they name exists', () => {
    expect(ledgers.problems).toEqual([]);
  });

  it('of protocols name for each MUST a test that shows it kept, and one that shows its opposite refused', () => {
    const alone = ledgers.rows.filter((row) => row.level === 'MUST' && row.verdict === 'holds' && ledgerOf(row) !== 'RFC.md' && row.tests.length < 2);
    expect(alone.map(({ at, document, id }) => `${at}: ${document} ${id}`)).toEqual([]);
  });
});
