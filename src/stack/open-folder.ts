/** The folders above those of an unprivileged user. */
import path from "node:path";
import { makeFolderDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";

/** Every user may pass, the unprivileged one must; what is secret has its own mode. */
const OPEN_MODE = 0o755;

/** Makes a folder and the parents it lacks so that every user can pass, whatever the umask is; its name survives a power cut. */
export async function makeOpenFolder(files: Files, folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; (await files.stat(at)) === undefined; at = path.dirname(at)) missing.unshift(at);
  for (const each of missing) {
    await files.makeFolder(each, OPEN_MODE);
    await files.changeMode(each, OPEN_MODE);
  }
  for (const each of [...missing, folder]) await makeFolderDurable(files, each);
}
