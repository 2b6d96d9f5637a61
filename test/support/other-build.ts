/** A build of this work tree in which the maps mean something else: what an upgrade meets. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import typescript from 'typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export interface OtherBuild {
  /** As dist/cli/main.js. */
  readonly program: string;
  remove(): void;
}

/** struct port_block with its first two fields in the other order: of the same size, so only the types can tell. */
export function buildWithOtherLayout(): OtherBuild {
  const folder = mkdtempSync(join(tmpdir(), 'floatgate-other-build-'));
  for (const part of ['.ci', 'bpf', 'dist', 'src', 'package.json']) cpSync(join(root, part), join(folder, part), { recursive: true });
  for (const part of ['dist', 'package.json']) cpSync(join(root, 'native', part), join(folder, 'native', part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  exchangeFields(join(folder, 'bpf', 'layout.h'));
  const { CI: _, ...environment } = process.env;
  execFileSync(process.execPath, [join(folder, '.ci', 'build.mjs'), 'bpf', 'layout'], { cwd: folder, env: environment, stdio: 'pipe' });
  compile(join(folder, 'src', 'dataplane', 'layout.generated.ts'), join(folder, 'dist', 'dataplane', 'layout.generated.js'));
  return { program: join(folder, 'dist', 'cli', 'main.js'), remove: () => rmSync(folder, { recursive: true }) };
}

function exchangeFields(file: string): void {
  const before = readFileSync(file, 'utf8');
  const after = before.replace(/(\n\t__u32 vm;[^\n]*)(\n\t__u32 mappings;[^\n]*)/, '$2$1');
  if (after === before) throw new Error(`${file} has no struct port_block that begins with vm and mappings`);
  writeFileSync(file, after);
}

/** The one source that differs. */
function compile(source: string, output: string): void {
  const { target, module } = { target: typescript.ScriptTarget.ES2022, module: typescript.ModuleKind.ES2022 };
  writeFileSync(output, typescript.transpileModule(readFileSync(source, 'utf8'), { compilerOptions: { target, module } }).outputText);
}
