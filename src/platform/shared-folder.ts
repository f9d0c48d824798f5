/**
 * Folders below /tmp, where sockets lie whose path would be too long elsewhere: anybody can have made one first.
 *
 * Invariant: one that is ours alone stays so, since /tmp lets nobody rename or remove what is another's. So it is made first, then looked
 * at, and only then believed or changed.
 */
import { LifeboatError } from "../errors/error.ts";
import type { FileFacts, Files } from "./files.ts";

const OTHERS = 0o077;

/**
 * Rejects with `platform.folder-foreign` where the folder is a link, belongs to none of the owners, or lets others in. One that is not
 * there is nobody's.
 */
export async function refuseForeignFolder(
  files: Pick<Files, "stat">,
  folder: string,
  owners: readonly (number | undefined)[],
): Promise<void> {
  const facts = await files.stat(folder);
  if (facts === undefined) return;
  const what = whyForeign(facts, owners);
  if (what === undefined) return;
  throw new LifeboatError("platform.folder-foreign", {
    message: `${folder}, where sockets of ours are to lie, ${what}: whoever made it could answer in our place`,
    remedy: `Find out who made it, then remove it: rm -r ${folder}. With a shorter folders.state no folder in /tmp is needed.`,
  });
}

function whyForeign({ kind, uid, mode }: FileFacts, owners: readonly (number | undefined)[]): string | undefined {
  if (kind !== "folder") return `is a ${kind === "link" ? "symbolic link" : "file"}`;
  if (!owners.includes(uid)) return `belongs to user ${uid}`;
  return (mode & OTHERS) === 0 ? undefined : `lets others in (mode ${mode.toString(8).padStart(4, "0")})`;
}
