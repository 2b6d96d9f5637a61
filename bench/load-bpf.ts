/** Programs that only a bench needs: compiled where they are used. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BpfObject } from 'libbpf-ts';
import { compileBpf, temporaryDirectory } from '../native/test/support/compile.js';

/** `source`: a .bpf.c that stands alone. */
export function loadBpf(source: URL): BpfObject {
  const directory = temporaryDirectory();
  try {
    const object = BpfObject.open(compileBpf(directory.path, basename(source.pathname, '.bpf.c'), readFileSync(fileURLToPath(source), 'utf8')));
    object.load();
    return object;
  } finally {
    directory.remove();
  }
}
