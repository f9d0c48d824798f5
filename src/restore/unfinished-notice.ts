/** What a restore in place says of the folder, where something ends it. */

/** In words. `keptWal` is where the WAL lies that was there when the restore began; undefined when it was removed. */
export function describeUnfinished(
  folder: string,
  { before, keptWal }: { readonly before: "data" | "unfinished"; readonly keptWal: string | undefined },
): string {
  const goesOn = "The same command goes on, also with another --backup";
  if (keptWal === undefined) {
    return `${folder} cannot be started now: the backup's files are written, its own WAL was removed, and that of the vault is not all laid. ${goesOn}.`;
  }
  // Whether the earlier one came to the WAL, it has said, and nothing that it left tells.
  const kept =
    before === "data"
      ? `Its own WAL and histories are still in ${keptWal}`
      : `An earlier restore that did not end may have removed its own WAL and histories, as that one said; what it left of them is still in ${keptWal}, maybe beside WAL of the vault`;
  return `${folder} cannot be started now: some of the backup's files are written. ${kept}, and go only when all files are written. ${goesOn}; one without --delta would remove them first.`;
}
