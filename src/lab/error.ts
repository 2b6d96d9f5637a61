/** A failure that its sentence tells wholly: shown without a stack. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

/** Of something that waiting cannot mend: until() passes it on at once. */
export class HopelessError extends LabError {}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
