/**
 * The extensions that depth `checked` needs, looked for before anything is restored.
 */
import path from "node:path";
import type { Files } from "../platform/files.ts";
import type { Installation } from "../postgres/installation.ts";
import { extensionsMissing } from "./relation-checks.ts";

/** The extensions. */
const NEEDED = ["amcheck", "pg_visibility"] as const;
/** Every installation has this one, so its folder is the one. */
const ALWAYS_THERE = "plpgsql.control";

/**
 * Throws `proof.extension-missing` when the programs are known to lack one. Where their folder of extensions is not found
 * nothing is said: the restored server will tell.
 */
export async function lookForExtensions(files: Files, installation: Installation): Promise<void> {
  const share = path.join(installation.binFolder, "..", "share");
  const folders = [
    path.join(share, "postgresql", "extension"),
    path.join(share, "extension"),
    // Debian's programs lie apart from what they share.
    path.join("/usr/share/postgresql", String(installation.major), "extension"),
  ];
  for (const folder of folders) {
    if ((await files.stat(path.join(folder, ALWAYS_THERE))) === undefined) continue;
    const missing: string[] = [];
    for (const name of NEEDED) {
      if ((await files.stat(path.join(folder, `${name}.control`))) === undefined) missing.push(name);
    }
    if (missing.length > 0) throw extensionsMissing(missing);
    return;
  }
}
