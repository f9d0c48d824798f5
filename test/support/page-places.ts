/**
 * Where a backup's pages lie in its vault: the same place in two backups means that the later one kept the page.
 */

import type { BackupRecord } from "../../src/vault/backups.ts";
import { type PagesFile, readManifest, ZERO_CHUNK } from "../../src/vault/manifest.ts";
import type { Vault } from "../../src/vault/vault.ts";

/** For each page of each file of pages, by path: pack, chunk in the pack, page in the chunk; "" for a page of zeros. */
export async function placesOf(vault: Vault, backup: BackupRecord): Promise<ReadonlyMap<string, readonly string[]>> {
  const files: PagesFile[] = [];
  const onFile = (file: { readonly kind: string }): void => {
    if (isPages(file)) files.push(file);
  };
  const { chunks } = await readManifest(vault, backup, { onFile }, {});
  const places = new Map<string, readonly string[]>();
  for (const { path, extents } of files) {
    const ofFile: string[] = [];
    for (let at = 0; at < extents.length; at += 4) {
      const [, pages = 0, chunk = ZERO_CHUNK, slot = 0] = extents.slice(at, at + 4);
      const pack = chunks.packs[chunks.packOf[chunk] ?? 0]?.id;
      for (let page = 0; page < pages; page += 1) {
        ofFile.push(chunk === ZERO_CHUNK ? "" : `${pack}/${chunks.ordinals[chunk]}/${slot + page}`);
      }
    }
    places.set(path, ofFile);
  }
  return places;
}

function isPages(file: { readonly kind: string }): file is PagesFile {
  return file.kind === "pages";
}

/** The pages of a file that lie where they lay in the earlier backup, by number. */
export function keptPages(
  earlier: ReadonlyMap<string, readonly string[]>,
  later: ReadonlyMap<string, readonly string[]>,
  path: string,
): readonly number[] {
  const before = new Set(earlier.get(path));
  return (later.get(path) ?? []).flatMap((place, page) => (place !== "" && before.has(place) ? [page] : []));
}
