/** Reads what need not be there. */
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "./files.ts";

/** A whole file; undefined where there is none. Rejects as reading does otherwise. */
export async function readIfThere(files: Pick<Files, "readFile">, file: string): Promise<Buffer | undefined> {
  try {
    return await files.readFile(file);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
}
