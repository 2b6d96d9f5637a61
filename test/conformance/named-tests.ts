/** The names of a file's tests, read from its source: in CI they have to be known without running or loading anything. */
import { existsSync, readFileSync } from 'node:fs';
import ts from 'typescript';

export interface NamedTest {
  /** As vitest prints it, `describe > it`; `*` where it is computed. */
  readonly name: string;
  readonly skipped: boolean;
}

/** Undefined where there is no such file. */
export function testsOfFile(path: string): NamedTest[] | undefined {
  return existsSync(path) ? testsOfSource(readFileSync(path, 'utf8')) : undefined;
}

export function testsOfSource(source: string): NamedTest[] {
  const tests: NamedTest[] = [];
  const visit = (node: ts.Node, outer: readonly string[], outerSkipped: boolean): void => {
    const call = ts.isCallExpression(node) ? declarationOf(node) : undefined;
    if (call === undefined) return ts.forEachChild(node, (child) => visit(child, outer, outerSkipped));
    const names = [...outer, call.title];
    const skipped = outerSkipped || call.skipped;
    if (call.kind === 'describe') return ts.forEachChild(node, (child) => visit(child, names, skipped));
    tests.push({ name: names.join(' > '), skipped });
  };
  visit(ts.createSourceFile('test.ts', source, ts.ScriptTarget.Latest), [], false);
  return tests;
}

/** What `it(…)`, `describe.each(…)(…)` and their like declare; undefined for any other call. */
function declarationOf(call: ts.CallExpression): { kind: 'describe' | 'it'; title: string; skipped: boolean } | undefined {
  const modifiers: string[] = [];
  let callee: ts.Expression = call.expression;
  while (!ts.isIdentifier(callee)) {
    if (ts.isPropertyAccessExpression(callee)) modifiers.push(callee.name.text);
    else if (!ts.isCallExpression(callee) && !ts.isTaggedTemplateExpression(callee)) return undefined;
    callee = ts.isTaggedTemplateExpression(callee) ? callee.tag : callee.expression;
  }
  const [title] = call.arguments;
  if (title === undefined || !['describe', 'it', 'test'].includes(callee.text)) return undefined;
  // `it.each(cases)` is half of a declaration: the call around it has the title.
  if (ts.isPropertyAccessExpression(call.expression) && ['each', 'for', 'skipIf', 'runIf'].includes(call.expression.name.text)) return undefined;
  const skipped = modifiers.includes('skip') || modifiers.includes('todo');
  return { kind: callee.text === 'describe' ? 'describe' : 'it', title: titleOf(title, modifiers.includes('each') || modifiers.includes('for')), skipped };
}

function titleOf(title: ts.Expression, isTemplate: boolean): string {
  if (ts.isStringLiteralLike(title)) return isTemplate ? title.text.replace(/%[sdifjoO#%]|\$[A-Za-z_][\w.]*/g, '*') : title.text;
  if (ts.isTemplateExpression(title)) return [title.head.text, ...title.templateSpans.map(({ literal }) => literal.text)].join('*');
  return '*';
}
