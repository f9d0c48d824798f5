/**
 * Files that belong to somebody else: root works in folders of an unprivileged user without leaving there what that user
 * cannot read, write or remove.
 */
import path from "node:path";
import type { Files } from "./files.ts";

/** A user and a group, by number. */
export type FileOwner = { readonly uid: number; readonly gid: number };

/** The same files, but what is made through them is given to `owner` before anybody can have seen it under its own name. */
export function filesOwnedBy(files: Files, owner: FileOwner): Files {
  return {
    ...files,
    open: async (file, mode, permissions) => {
      const handle = await files.open(file, mode, permissions);
      if (mode !== "create") return handle;
      try {
        await files.changeOwner(file, owner);
        return handle;
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
    makeFile: (file, made) => files.makeFile(file, { ...made, owner: made.owner ?? owner }),
    makeFolder: async (folder, permissions) => {
      const missing: string[] = [];
      for (let at = folder; (await files.stat(at)) === undefined; at = path.dirname(at)) missing.unshift(at);
      await files.makeFolder(folder, permissions);
      for (const each of missing) await files.changeOwner(each, owner);
    },
    symlink: async (target, at) => {
      await files.symlink(target, at);
      await files.changeOwner(at, owner);
    },
  };
}

/**
 * The files to work with in a folder: for root in a folder that belongs to somebody else, those that are given to that
 * user; else `files` themselves. A folder that is not there yet will be our own.
 */
export async function filesOfFolder(files: Files, folder: string, uid: number): Promise<Files> {
  const facts = uid === ROOT_UID ? await files.stat(folder) : undefined;
  return facts === undefined || facts.uid === ROOT_UID ? files : filesOwnedBy(files, facts);
}

const ROOT_UID = 0;
