/** No user can do anything about it: the stack is for whoever repairs the program. */
export function isOurMistake(error: Error): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof SyntaxError || error instanceof RangeError;
}
