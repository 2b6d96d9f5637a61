import ts from 'typescript';

/** What files of a folder may import besides one another. `*` stands for any rest of a name. */
export interface Rule {
  /** Package names, `node:*` included. */
  readonly packages: readonly string[];
  /** Files and folders of src. */
  readonly sources: readonly string[];
  /** Files, without .ts, that must depend on their arguments alone: no system, clock, process, timers or chance; `*` for all. */
  readonly pure?: readonly string[];
}

/**
 * The layers. An arrow that is not here does not exist: config → compile →
 * dataplane → gateway → cli, with the election, synchronisation, API, metrics
 * and sessions each by itself and joined in the folder gateway alone; what the
 * API is asked and answers is defined there.
 */
export const rules: Readonly<Record<string, Rule>> = {
  config: { packages: ['yaml', 'zod'], sources: [], pure: ['*'] },
  compile: { packages: [], sources: ['config/*', 'dataplane/layout.generated.js'], pure: ['*'] },
  dataplane: { packages: ['libbpf-ts', 'libbpf-ts/codegen', 'node:*'], sources: ['config/*', 'compile/*'] },
  vrrp: {
    packages: ['libbpf-ts', 'node:*'],
    sources: ['config/*'],
    pure: ['machine', 'state', 'advertisement', 'arp', 'ethernet', 'ipv4', 'timing', 'options', 'counters', 'peer'],
  },
  bfd: { packages: [], sources: [], pure: ['*'] },
  sync: { packages: ['libbpf-ts', 'node:*'], sources: ['config/*'], pure: ['machine', 'comparison', 'walk', 'frame', 'messages', 'terms', 'batch'] },
  api: { packages: ['fastify', 'zod', 'node:*'], sources: ['config/*'], pure: ['sessions', 'session-query', 'query', 'floating-ips', 'floating-ip-query', 'status'] },
  sessions: {
    packages: [],
    sources: ['api/sessions.js', 'api/session-query.js', 'api/floating-ips.js', 'api/floating-ip-query.js', 'api/query.js', 'config/*', 'dataplane/layout.generated.js'],
    pure: ['*'],
  },
  metrics: { packages: ['prom-client', 'node:*'], sources: [] },
  lab: { packages: ['yaml', 'node:*'], sources: ['api/client.js', 'api/status.js'] },
  cli: { packages: ['commander', 'node:*'], sources: ['config/*', 'files/*', 'api/*', 'dataplane/*', 'lab/*', 'gateway/gateway.js', 'log.js'] },
  'log.ts': { packages: ['pino'], sources: [] },
  files: { packages: ['node:*'], sources: ['config/*'] },
  gateway: {
    packages: ['fastify', 'libbpf-ts', 'node:*'],
    pure: ['election-options', 'tracking', 'sync-groups', 'peer-sights'],
    sources: ['api/*', 'bfd/*', 'compile/*', 'config/*', 'dataplane/*', 'files/*', 'metrics/*', 'sessions/*', 'sync/*', 'vrrp/*', 'log.js'],
  },
};

/** Names of the world outside. */
const impure = new Set(['process', 'performance', 'Date', 'setTimeout', 'setInterval', 'setImmediate', 'fetch', 'console', 'globalThis', 'global', 'require', 'crypto']);
/** compile may use the layout's types and enumerations; bytes are the data plane's. */
const bytesOfLayout = /(?:Codec|Offsets|Layouts?|layoutHash|Size)$/;

interface Import {
  readonly specifier: string;
  /** undefined: everything, as a namespace. */
  readonly names: readonly string[] | undefined;
  readonly typeOnly: boolean;
}

/**
 * Every breach of the rules, one sentence each.
 * @param files path relative to src → text
 */
export function breaches(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([file, text]) => {
    const rule = rules[folderOf(file)];
    if (rule === undefined) return [`${file} is in no folder that test/unit/architecture.ts knows`];
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const imports = importsOf(source);
    return [...imports.flatMap((found) => breachOf(file, rule, found) ?? []), ...(isPure(file, rule) ? impurities(file, source, imports, rule) : [])];
  });
}

function folderOf(file: string): string {
  return file.split('/')[0]!;
}

function isPure(file: string, { pure = [] }: Rule): boolean {
  return pure.includes('*') || pure.includes(file.split('/').at(-1)!.replace(/\.ts$/, ''));
}

function breachOf(file: string, rule: Rule, found: Import): string | undefined {
  if (!found.specifier.startsWith('.')) {
    return allows(rule.packages, found.specifier) ? undefined : `${file} imports the package ${found.specifier}`;
  }
  const target = new URL(found.specifier, `file:///${file}`).pathname.slice(1);
  if (folderOf(target) === folderOf(file)) return undefined;
  if (!allows(rule.sources, target)) return `${file} imports ${target}`;
  const fromLayout = folderOf(file) === 'compile' && target === 'dataplane/layout.generated.js' && !found.typeOnly;
  const bytes = fromLayout ? (found.names?.find((name) => bytesOfLayout.test(name)) ?? (found.names === undefined ? '*' : undefined)) : undefined;
  return bytes === undefined ? undefined : `${file} imports ${bytes} of ${target}, which is about bytes`;
}

function allows(list: readonly string[], name: string): boolean {
  return list.some((entry) => (entry.endsWith('*') ? name.startsWith(entry.slice(0, -1)) : name === entry));
}

/** What its folder may do, but this file may not. */
function impurities(file: string, source: ts.SourceFile, imports: readonly Import[], rule: Rule): string[] {
  const found: string[] = [];
  for (const { specifier, typeOnly } of imports) {
    const isOfSystem = !typeOnly && /^(node:|libbpf-ts)/.test(specifier);
    if (isOfSystem && allows(rule.packages, specifier)) found.push(`${file} must be pure, but imports ${specifier}`);
    const sibling = /^\.\/(.+)\.js$/.exec(specifier)?.[1];
    if (sibling !== undefined && !typeOnly && !isPure(`${folderOf(file)}/${sibling}.ts`, rule)) found.push(`${file} must be pure, but imports ${sibling}.ts, which is not`);
  }
  visit(source, (node) => {
    if (ts.isIdentifier(node) && impure.has(node.text) && isFreeName(node)) found.push(`${file} must be pure, but uses ${node.text}`);
    if (ts.isPropertyAccessExpression(node) && node.getText(source) === 'Math.random') found.push(`${file} must be pure, but uses Math.random`);
  });
  return found;
}

/** `process` as such, not `.process`, `process:` or a type's name. */
function isFreeName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  const names = 'name' in parent && parent.name === node;
  return !names && !ts.isTypeNode(parent) && !(ts.isQualifiedName(parent) && parent.right === node);
}

function importsOf(source: ts.SourceFile): Import[] {
  const found: Import[] = [];
  visit(source, (node) => {
    if (ts.isImportDeclaration(node)) found.push(declared(node));
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) found.push({ specifier: textOf(node.moduleSpecifier), ...exported(node) });
    else if (ts.isImportTypeNode(node)) found.push({ specifier: textOf((node.argument as ts.LiteralTypeNode).literal), names: undefined, typeOnly: true });
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) found.push({ specifier: textOf(node.arguments[0]!), names: undefined, typeOnly: false });
  });
  return found;
}

function declared({ moduleSpecifier, importClause }: ts.ImportDeclaration): Import {
  const bindings = importClause?.namedBindings;
  const named = bindings && ts.isNamedImports(bindings) ? bindings.elements : undefined;
  const values = named?.filter(({ isTypeOnly }) => !isTypeOnly).map(({ name, propertyName }) => (propertyName ?? name).text);
  const typeOnly = importClause?.isTypeOnly === true || (values?.length === 0 && importClause?.name === undefined);
  return { specifier: textOf(moduleSpecifier), names: values, typeOnly };
}

function exported({ isTypeOnly, exportClause }: ts.ExportDeclaration): Omit<Import, 'specifier'> {
  const named = exportClause && ts.isNamedExports(exportClause) ? exportClause.elements : undefined;
  return { names: named?.map(({ name, propertyName }) => (propertyName ?? name).text), typeOnly: isTypeOnly };
}

/** Anything but a literal cannot be checked, and so is not allowed. */
function textOf(node: ts.Node): string {
  return ts.isStringLiteralLike(node) ? node.text : '(computed)';
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}
