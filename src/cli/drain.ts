/** `floatgate drain` and `undrain`: a planned hand-over, and its end. */
import { ApiClient } from '../api/client.js';

/** Resolves when the peer is Active everywhere and the last stragglers were forwarded. @throws ApiError */
export async function drain(socket: string): Promise<void> {
  await new ApiClient(socket).drain();
}

/** Back into the election. @throws ApiError */
export async function undrain(socket: string): Promise<void> {
  await new ApiClient(socket).undrain();
}

/** Reads the configuration again. Returns the number of changes. @throws ApiError with what is wrong in the file */
export async function reload(socket: string): Promise<number> {
  return (await new ApiClient(socket).reload()).changes;
}
