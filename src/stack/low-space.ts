/** Whether the disk of a stack is next to full, and what is to be done about it. */
import type { Files } from "../platform/files.ts";
import { describeByteSize } from "../units/byte-size.ts";
import type { StackDescription } from "./stack.ts";

/** Four segments of WAL: with less the primary ends within seconds of writing. */
const LOW_BYTES = 64 * 1024 * 1024;

/** What is wrong, and what to do. */
export type Note = { readonly message: string; readonly remedy: string };

/** Undefined where there is room, or no folder yet. */
export async function lowSpace(
  files: Pick<Files, "stat" | "space">,
  { place }: Pick<StackDescription, "place">,
  lowBytes = LOW_BYTES,
): Promise<Note | undefined> {
  if ((await files.stat(place.folder)) === undefined) return undefined;
  const { freeBytes } = await files.space(place.folder);
  if (freeBytes >= lowBytes) return undefined;
  return {
    message: `the file system of ${place.folder} has ${describeByteSize(freeBytes)} free`,
    remedy: "make room there, but delete nothing of a vault, a spool or a data directory",
  };
}
