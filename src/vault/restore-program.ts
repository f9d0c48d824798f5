/**
 * The stand-alone restore program in the vault: `programs/restore-<version>.ts`, in clear, so that whoever has a copy of the
 * vault and its key needs nothing else but Node.js. docs/formats/vault.md, "The restore program".
 *
 * Invariants: a version's bytes never change; a vault keeps every version it was given, and gets the present one when it is
 * made and with the next backup.
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { Store } from "../store/store.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Where programs lie in a vault. */
export const PROGRAMS_PREFIX = "programs/";

/** SHA-256 of every version there has been, by its name in a vault; the last one is the present one. */
export const RESTORE_PROGRAMS: ReadonlyMap<string, string> = new Map([
  ["programs/restore-1.ts", "fcfdb27e60bba9d30a9fc32942644e7136dd1782e063576eddfdc225a9721bea"],
  ["programs/restore-2.ts", "2c051813dbe6ae0410dc547c207f2a57f6c2cb7cd2327d469c43aa602ff8ab62"],
  ["programs/restore-3.ts", "e690984b5dfc51e51b4fb35f4e1ac20ebb4c4fbae6a61c172193118cfeea1b3f"],
  ["programs/restore-4.ts", "4750f889451ac2ee3ad0f1eb8fae5f4c847293d5e79a2ddfb078b05956457e7d"],
  ["programs/restore-5.ts", "844ac718c1a4c24eabbd2aa1a14e93305dc7a27ad76ec0e0092b9530a492e745"],
  ["programs/restore-6.ts", "b181da9471d65019c53defbb3992d55336204b537b0524874b676b256619c44e"],
  ["programs/restore-7.ts", "64197e6b583998b007d0a147a6221081fa55f7d9e9e2f84ce6fb485a5f22c918"],
  ["programs/restore-8.ts", "0fc28211cd65dc3b61ceba2817997970d5ae99a05f09d53335de69523845867d"],
  ["programs/restore-9.ts", "d6fb6347245bc8ccd32bf08b9ac31f7b86405ef21fffae098082defac5c700da"],
  ["programs/restore-10.ts", "f4ba1f8dcf77415c7b11f163ee7fadc12d548eab8447fb54b0049896fd517c2b"],
]);

/** The name of the present version. */
export const PRESENT_PROGRAM = [...RESTORE_PROGRAMS.keys()].at(-1) ?? "";

/** The sources have it where it is written; the bundle has a copy of it, since the npm package has no sources. */
const PROGRAM = new URL(
  import.meta.url.endsWith(".ts") ? "../standalone/main.ts" : "./restore-program.ts",
  import.meta.url,
);

/** Sees to it that the vault in a store has the present restore program. */
export async function keepRestoreProgram(
  tools: { readonly store: Store; readonly files: Pick<Files, "readFile"> },
  options: CallOptions,
): Promise<void> {
  if ((await tools.store.head(PRESENT_PROGRAM, options)) !== undefined) return;
  try {
    await tools.store.put(PRESENT_PROGRAM, [await presentProgram(tools.files)], options);
  } catch (error) {
    // Another process was faster.
    if (!isLifeboatError(error, "store.object-exists")) throw error;
  }
}

/** Its bytes. */
export function presentProgram(files: Pick<Files, "readFile">): Promise<Buffer> {
  return files.readFile(fileURLToPath(PROGRAM));
}

/** Whether these are the bytes of that program; undefined for one that this version does not know. */
export function isRestoreProgram(name: string, bytes: Buffer): boolean | undefined {
  const expected = RESTORE_PROGRAMS.get(name);
  return expected === undefined ? undefined : createHash("sha256").update(bytes).digest("hex") === expected;
}
