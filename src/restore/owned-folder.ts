/**
 * Makes folders that the restored server's user can enter.
 */
import path from "node:path";
import { makeFolderDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Owner } from "./file-set.ts";

/** Makes a folder and the parents it lacks, all the server's own: it must be able to enter them. */
export async function makeOwnedFolder(files: Files, folder: string, owner: Owner | undefined): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; (await files.stat(at)) === undefined; at = path.dirname(at)) missing.unshift(at);
  for (const each of missing.length === 0 ? [folder] : missing) {
    await makeFolderDurable(files, each, 0o700);
    if (owner !== undefined) await files.changeOwner(each, owner);
  }
}
