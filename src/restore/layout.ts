/**
 * Where the files of a backup go: the data directory and its tablespaces.
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { OUTSIDE_PREFIX } from "../vault/manifest.ts";
import { RECOVERY_FOLDER } from "./recovery-files.ts";
import { guardTarget, LOCK_NAMES, UNFINISHED_MARKER } from "./target-guard.ts";

/** Where tablespaces go: by OID, else in a folder each under `under`, else nowhere. */
export type TablespaceChoice = { readonly byOid: ReadonlyMap<number, string>; readonly under: string | undefined };

/** Folders that are written, and the links that lead to them from pg_tblspc and in place of pg_wal. */
export type Layout = {
  /** The data directory first, then each folder outside of it: of tablespaces, and of WAL. */
  readonly roots: readonly string[];
  readonly links: readonly { readonly at: string; readonly target: string }[];
  /** By OID, in the data directory or outside. */
  readonly tablespaceFolders: ReadonlyMap<number, string>;
  /** Where pg_wal leads; undefined for a folder of the data directory. */
  readonly walFolder?: string | undefined;
};

/** The folder of WAL in a data directory. */
export const WAL_FOLDER = "pg_wal";

/** The folder of links to tablespaces in a data directory. */
export const TABLESPACES_FOLDER = "pg_tblspc";

type Tablespace = { readonly oid: number; readonly location: string };

/** Lays out a restore. Throws `restore.tablespace-unmapped` naming every tablespace without a place. */
export function layoutOf(folder: string, tablespaces: readonly Tablespace[], choice: TablespaceChoice): Layout {
  const main = path.resolve(folder);
  const roots = [main];
  const links: Layout["links"][number][] = [];
  const tablespaceFolders = new Map<number, string>();
  const unmapped: Tablespace[] = [];
  for (const tablespace of tablespaces) {
    const at = path.join(main, TABLESPACES_FOLDER, String(tablespace.oid));
    if (!path.isAbsolute(tablespace.location)) {
      // A tablespace made in place is a plain folder of the data directory.
      tablespaceFolders.set(tablespace.oid, at);
      continue;
    }
    const under = choice.under === undefined ? undefined : path.join(choice.under, String(tablespace.oid));
    const target = choice.byOid.get(tablespace.oid) ?? under;
    if (target === undefined) unmapped.push(tablespace);
    else {
      const root = path.resolve(target);
      roots.push(root);
      links.push({ at, target: root });
      tablespaceFolders.set(tablespace.oid, root);
    }
  }
  if (unmapped.length > 0) throw unmappedError(unmapped);
  return { roots, links, tablespaceFolders };
}

/** The same layout with pg_wal as a link to a folder that is there. */
export function withWalFolder(layout: Layout, walFolder: string | undefined): Layout {
  if (walFolder === undefined) return layout;
  const at = path.join(layout.roots[0] ?? "", WAL_FOLDER);
  const links = [...layout.links, { at, target: walFolder }];
  return { ...layout, roots: [...layout.roots, walFolder], links, walFolder };
}

/** Throws unless every root may be written into, and no root lies in another. */
export async function checkLayout(files: Files, layout: Layout): Promise<void> {
  await checkApart(files, layout);
  for (const root of layout.roots) await guardTarget(files, root);
}

/** Throws when a root lies in another, by whatever links: a server takes its tablespaces by text, and may have one in its data directory. */
export async function checkApart(files: Files, layout: Layout): Promise<void> {
  const roots: { readonly named: string; readonly at: string }[] = [];
  for (const named of layout.roots) roots.push({ named, at: await withoutLinks(files, named) });
  for (const [index, root] of roots.entries()) {
    const other = roots.find((each, place) => place !== index && `${root.at}/`.startsWith(`${each.at}/`));
    if (other === undefined) continue;
    throw new LifeboatError("restore.target-not-empty", {
      message: `${root.named} and ${other.named} were both named, and one lies in the other, or links lead there`,
      remedy:
        "Give the data directory and every tablespace a folder of its own: --tablespaces-under FOLDER. Where the old data directory has it so, restore into an empty folder, without --delta.",
    });
  }
}

/**
 * Throws `restore.target-in-vault` when a root lies in one of these folders or holds it, by whatever links: what is restored is not encrypted,
 * and a copy of the vault would take it along; a delta restore would remove what it finds.
 */
export async function checkOutside(files: Files, roots: readonly string[], own: readonly string[]): Promise<void> {
  for (const kept of own) {
    const keptAt = await withoutLinks(files, path.resolve(kept));
    for (const root of roots) {
      const rootAt = await withoutLinks(files, path.resolve(root));
      const isIn = `${rootAt}/`.startsWith(`${keptAt}/`);
      if (!isIn && !`${keptAt}/`.startsWith(`${rootAt}/`)) continue;
      throw new LifeboatError("restore.target-in-vault", {
        message: isIn ? `${root} lies in ${kept}, where Lifeboat keeps backups or WAL` : `${root} holds ${kept}`,
        remedy: "Restore into a folder outside of vault and spool: what is restored is not encrypted.",
      });
    }
  }
}

/** The path as it is with all links followed, as far as something is there. */
async function withoutLinks(files: Files, folder: string): Promise<string> {
  let at = folder;
  for (let count = 0; count < LINKS_MAX; count += 1) {
    const next = await withoutFirstLink(files, at);
    if (next === undefined) break;
    at = next;
  }
  return at;
}

async function withoutFirstLink(files: Files, folder: string): Promise<string | undefined> {
  const parts = folder.split("/").slice(1);
  for (const index of parts.keys()) {
    const at = `/${parts.slice(0, index + 1).join("/")}`;
    const facts = await files.stat(at);
    if (facts === undefined) return undefined;
    if (facts.kind === "link")
      return path.join(path.resolve(path.dirname(at), await files.readLink(at)), ...parts.slice(index + 1));
  }
  return undefined;
}

/** As many as Linux follows. */
const LINKS_MAX = 40;

/**
 * What a restore makes itself, or what must not come back: the links to the tablespaces, which lie elsewhere now; the
 * signal of a standby, with which recovery would never end; what an earlier restore wrote for its own recovery.
 */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "tablespace_map",
  "standby.signal",
  "recovery.signal",
  "postmaster.pid",
  RECOVERY_FOLDER,
]);

/** What a restore cut at its very end may have left in a root. */
export const MARKS: ReadonlySet<string> = new Set([UNFINISHED_MARKER, ...LOCK_NAMES]);

/** The file on this machine that a manifest's path stands for; undefined for what is left out. */
export function placePath(layout: Layout, manifestPath: string): string | undefined {
  const folder = layout.roots[0] ?? "";
  if (LEFT_OUT.has(manifestPath) || manifestPath.startsWith(`${RECOVERY_FOLDER}/`)) return undefined;
  if (MARKS.has(path.basename(manifestPath))) return undefined;
  if (manifestPath.startsWith(OUTSIDE_PREFIX)) {
    return path.join(folder, RECOVERY_FOLDER, "outside", manifestPath.slice(OUTSIDE_PREFIX.length));
  }
  const [first, ...below] = manifestPath.split("/");
  if (first === WAL_FOLDER && layout.walFolder !== undefined) return path.join(layout.walFolder, ...below);
  const oid = tablespaceOf(manifestPath);
  if (oid === undefined) return path.join(folder, manifestPath);
  const root = layout.tablespaceFolders.get(oid);
  return root === undefined ? undefined : path.join(root, ...manifestPath.split("/").slice(2));
}

/** The OID of the tablespace in which a manifest's path lies; undefined for the data directory itself. */
export function tablespaceOf(manifestPath: string): number | undefined {
  const match = /^pg_tblspc\/(\d+)(?:\/|$)/.exec(manifestPath);
  return match === null ? undefined : Number(match[1]);
}

function unmappedError(unmapped: readonly Tablespace[]): LifeboatError {
  const named = unmapped.map(({ oid, location }) => `${oid} (was ${location})`).join(", ");
  return new LifeboatError("restore.tablespace-unmapped", {
    message: `the backup has tablespaces that were given no place: ${named}`,
    remedy: `Pass --tablespace ${unmapped[0]?.oid ?? 0}=FOLDER for each, or --tablespaces-under FOLDER for all.`,
  });
}

/** Refuses a target before anything is fetched for it: `layoutOf` and `checkLayout` in one. */
export async function checkTarget(
  files: Files,
  folder: string,
  tablespaces: readonly Tablespace[],
  choice: TablespaceChoice,
): Promise<void> {
  await checkLayout(files, layoutOf(folder, tablespaces, choice));
}
