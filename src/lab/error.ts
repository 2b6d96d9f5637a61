/** A failure that its sentence tells wholly: shown without a stack. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
