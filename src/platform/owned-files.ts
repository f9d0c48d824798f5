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
