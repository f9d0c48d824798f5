/**
 * Which blocks of its table a page of a btree index has entries for.
 *
 * Invariants: nothing is read outside of the page, whatever it says of itself; entries that a search has marked as dead, and
 * pages that are deleted or about to be, are passed over: VACUUM may have taken away what they point to.
 * Source: PostgreSQL's src/include/access/nbtree.h, itup.h and src/include/storage/itemid.h, the same from 15 to 18.
 */
import { BLOCK_BYTES } from "./control-file.ts";
import { pageLower, pageSpecial } from "./page.ts";

const HEADER_BYTES = 24;
const ITEM_BYTES = 4;
const ITEM_NORMAL = 1;
/** The index's own part at the end of a page: neighbours, level, flags. */
const SPECIAL_BYTES = 16;
const NEXT_OFFSET = 4;
const LEVEL_OFFSET = 8;
const FLAGS_OFFSET = 12;
/** `btpo_flags`: a leaf, and what is none any more: deleted, the page of facts about the index, half dead. */
const LEAF = 0x01;
const NO_LEAF = 0x04 | 0x08 | 0x10;
/** A row's place: block in two halves, and a number. */
const PLACE_BYTES = 6;
/** An entry: a place, and its size and marks. */
const ENTRY_BYTES = PLACE_BYTES + 2;
/** `t_info`: the place is not one of a row. */
const OTHER_PLACE = 0x2000;
/** In the number of such a place: the entry lists rows, so many, from the byte that stands for the block. */
const LISTS_ROWS = 0x2000;
const ROWS_MASK = 0x0fff;

/**
 * Calls back with the block of each row that a leaf page has an entry for; with none for any other page. A GiB has fifty million: it
 * allocates one view for a page, and takes about as long as its checksums.
 */
export function eachTableBlock(page: Buffer, offset: number, take: (block: number) => void): void {
  const special = pageSpecial(page, offset);
  if (special !== BLOCK_BYTES - SPECIAL_BYTES) return;
  const view = new DataView(page.buffer, page.byteOffset + offset, BLOCK_BYTES);
  const flags = view.getUint16(special + FLAGS_OFFSET, true);
  if ((flags & LEAF) === 0 || (flags & NO_LEAF) !== 0 || view.getUint32(special + LEVEL_OFFSET, true) !== 0) return;
  const items = Math.floor((Math.min(pageLower(page, offset), special) - HEADER_BYTES) / ITEM_BYTES);
  // The first item of a page that has one to its right is the bound between them.
  const first = view.getUint32(special + NEXT_OFFSET, true) === 0 ? 0 : 1;
  for (let item = first; item < items; item += 1) {
    const pointer = view.getUint32(HEADER_BYTES + item * ITEM_BYTES, true);
    const at = pointer & 0x7fff;
    const bytes = pointer >>> 17;
    if (((pointer >>> 15) & 3) !== ITEM_NORMAL || bytes < ENTRY_BYTES || at + bytes > special) continue;
    if ((view.getUint16(at + PLACE_BYTES, true) & OTHER_PLACE) === 0) take(blockAt(view, at));
    else eachListed(view, { at, bytes }, take);
  }
}

function eachListed(
  view: DataView,
  { at, bytes }: { readonly at: number; readonly bytes: number },
  take: (block: number) => void,
): void {
  const number = view.getUint16(at + 4, true);
  if ((number & LISTS_ROWS) === 0) return;
  const from = blockAt(view, at);
  const end = Math.min(from + (number & ROWS_MASK) * PLACE_BYTES, bytes);
  for (let each = from; each + PLACE_BYTES <= end; each += PLACE_BYTES) take(blockAt(view, at + each));
}

function blockAt(view: DataView, at: number): number {
  return view.getUint16(at, true) * 65_536 + view.getUint16(at + 2, true);
}
