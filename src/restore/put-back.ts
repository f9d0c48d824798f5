/**
 * Writes the data directory that an aside was kept of, as it was, into an empty folder: the backup, and over it the aside. Only what its
 * configuration says of its place is taken out, and settings are added: a server that is started there to look must not work in the rebuilt
 * node's folder, nor pass for that node.
 * Order as in every restore: marker, files, control file, marker away; and as in every restore nobody else writes there meanwhile.
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { filesOwnedBy } from "../platform/owned-files.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import { type BackupRecord, listBackups } from "../vault/backups.ts";
import { crc32 } from "../vault/crc32.ts";
import { type ManifestFile, readManifest } from "../vault/manifest.ts";
import { ASIDE_PAGES, ASIDE_REMOVED, type AsideHeader, copyFile, readAside } from "./aside.ts";
import { spareBytes } from "./aside-room.ts";
import { type PlannedImage, writeImage } from "./image-writer.ts";
import {
  checkLayout,
  type Layout,
  layoutOf,
  placePath,
  TABLESPACES_FOLDER,
  tablespaceOf,
  WAL_FOLDER,
} from "./layout.ts";
import { makeOwnedFolder } from "./owned-folder.ts";
import { oldDataFiles } from "./recovery-files.ts";
import {
  checkSpace,
  finish,
  keepApart,
  makeLinks,
  markRoots,
  type RestorePlace,
  type RestoreTools,
  writeFiles,
} from "./restore.ts";
import { clearUnfinished } from "./target-guard.ts";
import { withTargetLocks } from "./target-lock.ts";

type Tools = Pick<RestoreTools, "vault" | "files" | "locks" | "onProgress">;

type Place = Pick<RestorePlace, "folder" | "tablespaces" | "owner">;

/**
 * Writes it; that nobody removes the aside meanwhile is the caller's to see to. Repeatable while it was cut short. Throws
 * `restore.no-backup` when the aside is not whole or its backup is gone, `restore.no-space`, `restore.image-incomplete` when the aside was damaged or
 * is gone at the end, and as restores do.
 */
export async function putBack(
  tools: Tools,
  aside: string,
  place: Place,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<AsideHeader> {
  const { files, vault } = tools;
  const header = await readAside(files, aside);
  if (header === undefined) throw noBackup(`${aside} holds no whole aside`);
  const { systemId, backupId } = header;
  const { backups } = await listBackups(vault, { systemId }, options);
  const backup = backups.find((each) => each.backupId === backupId);
  if (backup === undefined) throw noBackup(`${aside} is what backup ${backupId} lacks, and the vault has that no more`);
  const lines: ManifestFile[] = [];
  const manifest = await readManifest(vault, backup, { onFile: (line) => lines.push(line) }, options);
  const layout = layoutOf(place.folder, manifest.header.tablespaces, place.tablespaces);
  await checkLayout(files, layout);
  const makeRoot = (folder: string): Promise<void> => makeOwnedFolder(files, folder, place.owner);
  const image = { lines, chunks: manifest.chunks };
  await withTargetLocks({ ...tools, makeRoot }, layout.roots, () =>
    putBackInto(tools, { aside, header, backup, image }, { place, layout }, options),
  );
  return header;
}

/** What is put back: of the aside what the backup lacks. */
type Old = {
  readonly aside: string;
  readonly header: AsideHeader;
  readonly backup: BackupRecord;
  readonly image: PlannedImage;
};

async function putBackInto(
  tools: Tools,
  { aside, header, backup, image: planned }: Old,
  { place, layout }: { readonly place: Place; readonly layout: Layout },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { files, vault } = tools;
  await clearUnfinished(files, layout.roots);
  await checkSpace(files, await bytesByRoot(files, { aside, header, backup, image: planned }, layout));
  await markRoots(tools, layout, place.owner);
  const image = await writeImage(
    { vault, files, onProgress: (done) => tools.onProgress({ phase: "files", ...done }) },
    {
      backup,
      image: planned,
      roots: layout.roots,
      placePath: (manifestPath) => placePath(layout, manifestPath),
      owner: place.owner,
      wantedBytes: backup.dataBytes,
    },
    options,
  );
  await makeLinks(files, layout, place.owner);
  for (const each of header.absent) await files.removeTree(placePath(layout, each) ?? "");
  throwIfAborted(options.signal, "putting the old directory back");
  await writePages(files, aside, { header, layout });
  const owned = place.owner === undefined ? files : filesOwnedBy(files, place.owner);
  const control = await copyRemoved(owned, path.join(aside, ASIDE_REMOVED), layout);
  // It may name the folder that it was kept of, in which the rebuilt node works.
  await keepApart(tools, place);
  await writeFiles(files, place, oldDataFiles());
  // Its header goes first: as long as that is there, nothing that was read was missing.
  if ((await readAside(files, aside)) === undefined) throw removedMeanwhile(aside);
  for (const root of layout.roots) await files.syncFileSystem(root);
  await finish(files, place, { controlFile: control ?? image.controlFile, roots: layout.roots });
}

/**
 * What is written into each root, and beside it what every restore leaves free: a primary may write to that disk, and one that finds no room
 * for WAL ends with a PANIC.
 */
async function bytesByRoot(
  files: Files,
  { aside, header, backup, image }: Old,
  { roots, tablespaceFolders }: Layout,
): Promise<ReadonlyMap<string, number>> {
  const [main = "", ...others] = roots;
  const bytes = new Map([[main, spareBytes(backup.walSegmentBytes)], ...others.map((root) => [root, 0] as const)]);
  const add = (root: string | undefined, count: number): void => {
    const at = root !== undefined && bytes.has(root) ? root : main;
    bytes.set(at, (bytes.get(at) ?? 0) + count);
  };
  const sizes = new Map(header.files.map((each) => [each.path, each.sizeBytes]));
  for (const line of image.lines) {
    if (!("sizeBytes" in line)) continue;
    add(tablespaceFolders.get(tablespaceOf(line.path) ?? 0), Math.max(line.sizeBytes, sizes.get(line.path) ?? 0));
  }
  for (const { name } of await files.list(path.join(aside, ASIDE_REMOVED))) {
    // Behind the roots: a folder of WAL that lay outside.
    add(roots[Number(name)], await bytesBelow(files, path.join(aside, ASIDE_REMOVED, name)));
  }
  return bytes;
}

async function bytesBelow(files: Files, folder: string): Promise<number> {
  let bytes = 0;
  for (const { name, kind } of await files.list(folder)) {
    const file = path.join(folder, name);
    if (kind === "folder") bytes += await bytesBelow(files, file);
    else if (kind === "file") bytes += (await files.stat(file))?.sizeBytes ?? 0;
  }
  return bytes;
}

async function writePages(
  files: Files,
  aside: string,
  { header, layout }: { readonly header: AsideHeader; readonly layout: Layout },
): Promise<void> {
  const source = await files.open(path.join(aside, ASIDE_PAGES), "read");
  let position = 0;
  let sum = 0;
  try {
    for (const { path: name, sizeBytes, ranges } of header.files) {
      const target = await files.open(placePath(layout, name) ?? "", "update");
      try {
        await target.truncate(sizeBytes);
        for (let at = 0; at < ranges.length; at += 2) {
          const data = await source.read({ position, length: ranges[at + 1] ?? 0 });
          sum = crc32(data, sum);
          position += data.byteLength;
          await target.write(data, ranges[at] ?? 0);
        }
      } finally {
        await target.close();
      }
    }
  } finally {
    await source.close();
  }
  if (position === header.pages.sizeBytes && sum === header.pages.crc32) return;
  throw new LifeboatError("restore.image-incomplete", {
    message: `${path.join(aside, ASIDE_PAGES)} is not what was written: ${position} bytes of ${header.pages.sizeBytes}`,
    remedy: "Nothing else has these pages. What else is in the aside can be looked at as it is.",
  });
}

/** Copies, since a server may be started on them. Hands back the control file, which comes last. */
async function copyRemoved(files: Files, from: string, layout: Layout): Promise<Buffer | undefined> {
  const control = path.join(layout.roots[0] ?? "", CONTROL_FILE_PATH);
  const tablespaces = path.join(layout.roots[0] ?? "", TABLESPACES_FOLDER);
  let found: Buffer | undefined;
  const copy = async (source: string, target: string): Promise<void> => {
    const facts = await files.stat(source);
    // It leads to a folder that the rebuilt node may use by now.
    if (facts?.kind === "link" && path.dirname(target) === tablespaces) return;
    if (target === control) {
      found = await files.readFile(source);
      return;
    }
    if (facts?.kind === "folder") {
      if ((await files.stat(target))?.kind !== "folder") {
        await files.removeTree(target);
        await files.makeFolder(target, 0o700);
      }
      for (const { name } of await files.list(source)) await copy(path.join(source, name), path.join(target, name));
      return;
    }
    await files.removeTree(target);
    if (facts?.kind === "link") await files.symlink(await files.readLink(source), target);
    else await copyFile(files, { from: source, to: target, mode: facts?.mode ?? 0o600 });
  };
  // A folder of WAL that lay outside, behind the roots, comes into the data directory.
  const wal = path.join(layout.roots[0] ?? "", WAL_FOLDER);
  for (const [index, root] of [...layout.roots, wal].entries()) {
    const tree = path.join(from, String(index));
    if ((await files.stat(tree)) !== undefined) await copy(tree, root);
  }
  return found;
}

function removedMeanwhile(aside: string): LifeboatError {
  return new LifeboatError("restore.image-incomplete", {
    message: `${aside} was removed while it was read: what was written of it is not whole, and cannot be started`,
    remedy: "Look whether somebody removed that folder. The backup beside it can be restored as any: lifeboat restore.",
  });
}

function noBackup(message: string): LifeboatError {
  return new LifeboatError("restore.no-backup", {
    message,
    remedy: "What else is in the aside, the WAL among it, can be looked at as it is.",
  });
}
