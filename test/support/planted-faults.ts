/**
 * Faults planted in the files of a stopped server, which its page checksums do not give away: what a check must find to be
 * worth its time.
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { BLOCK_BYTES } from "../../src/postgres/control-file.ts";
import { computeChecksum, PD_ALL_VISIBLE, pageLower } from "../../src/postgres/page.ts";
import type { TestServer } from "./servers.ts";

/** The file of a relation of the database postgres, while the server runs. */
export async function fileOf(server: TestServer, relation: string): Promise<string> {
  return path.join(server.dataFolder, await server.value("SELECT pg_relation_filepath($1::regclass)", [relation]));
}

/** Changes one page of a file while its server is stopped; a checksum that is kept right hides it from the server. */
export function changePage(
  file: string,
  block: number,
  change: (page: Buffer) => void,
  checksum: "kept right" | "left" | "none" = "kept right",
): void {
  const bytes = readFileSync(file);
  const page = bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
  change(page);
  if (checksum === "kept right") page.writeUInt16LE(computeChecksum(page, 0, block), 8);
  writeFileSync(file, bytes);
}

/** The byte offset of the item with this number, from 1. */
export function itemOffset(page: Buffer, item: number): number {
  return page.readUInt32LE(24 + (item - 1) * 4) & 0x7fff;
}

/** Changes of pages, for `changePage`. */
export const PLANTED = {
  /** Heap: a row that claims to begin its data outside of itself. */
  rowOutside: (page: Buffer): void => void page.writeUInt8(255, itemOffset(page, 3) + 22),
  /** Heap: a bit of the last byte of a row. */
  rowChanged: (page: Buffer): void => {
    const at = itemOffset(page, 1) + (page.readUInt32LE(24) >>> 17) - 1;
    page[at] = (page[at] ?? 0) ^ 1;
  },
  /** Index: a bit in the data of the middle item, behind its eight bytes of header. */
  key: (page: Buffer): void => {
    const items = (pageLower(page, 0) - 24) / 4;
    const at = itemOffset(page, items >> 1) + 8;
    page[at] = (page[at] ?? 0) ^ 1;
  },
  /** Heap: not all-visible any more; a map that says otherwise is then wrong (safety rule A1). */
  flagTaken: (page: Buffer): void => void page.writeUInt16LE(page.readUInt16LE(10) & ~PD_ALL_VISIBLE, 10),
  /** Heap: all-visible, whatever its rows are. */
  flagSet: (page: Buffer): void => void page.writeUInt16LE(page.readUInt16LE(10) | PD_ALL_VISIBLE, 10),
  /** Visibility map: the first block of the table is all-visible and frozen. */
  firstBlockVisible: (page: Buffer): void => void page.writeUInt8(page.readUInt8(24) | 3, 24),
};
