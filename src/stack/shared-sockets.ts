/** Whether the sockets of a stack lie in /tmp, where others may have made what has their names. */
import type { Files } from "../platform/files.ts";
import { currentUid } from "../platform/run-as.ts";
import { refuseForeignFolder } from "../platform/shared-folder.ts";
import type { StackPlace } from "./stack.ts";

/** Whether its programs' sockets lie outside the stack's folder. */
export function liesApart({ sockets, folder }: Pick<StackPlace, "sockets" | "folder">): boolean {
  return !sockets.startsWith(`${folder}/`);
}

/**
 * Rejects with `platform.folder-foreign` where one of the folders that sockets of the stack lie in is neither this user's nor that of the
 * user who runs the programs: passwords are sent there, and answers believed.
 */
export async function refuseForeignSockets(
  files: Files,
  { folder, secrets }: StackPlace,
  socketFolders: readonly string[],
): Promise<void> {
  const apart = socketFolders.filter((sockets) => liesApart({ sockets, folder }));
  if (apart.length === 0) return;
  const owners = [currentUid(), (await files.stat(folder))?.uid, (await files.stat(secrets))?.uid];
  for (const each of apart) await refuseForeignFolder(files, each, owners);
}
