/**
 * Does what a server sends go on from what is held? What is compared for that.
 *
 * Invariant (rule A5): a page proves nothing that every server of the timeline has. Behind a switch of segments pages are blank to
 * the segment's end, and the last page written may hold no more than a few bytes of a record.
 */
import { PAGE_HEADER_BYTES, WAL_PAGE_BYTES } from "./records/page.ts";

const BLANK = Buffer.alloc(WAL_PAGE_BYTES);

/**
 * From where to compare, of held bytes that begin with a page: from the page before the last one that says something. Undefined
 * where these bytes do not reach back so far.
 */
export function comparedOffset(held: Buffer): number | undefined {
  let page = Math.ceil(held.byteLength / WAL_PAGE_BYTES) - 1;
  while (page > 0 && isBlank(held.subarray(page * WAL_PAGE_BYTES, (page + 1) * WAL_PAGE_BYTES))) page -= 1;
  return page > 0 ? (page - 1) * WAL_PAGE_BYTES : undefined;
}

function isBlank(page: Buffer): boolean {
  const body = page.subarray(PAGE_HEADER_BYTES);
  return body.equals(BLANK.subarray(0, body.byteLength));
}
