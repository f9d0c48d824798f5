/**
 * Finds the main data of a WAL record, behind the headers of the blocks it touches, and whose blocks these are.
 *
 * Source: PostgreSQL's src/include/access/xlogrecord.h.
 */
import { RECORD_HEADER_BYTES, type RecordCursor } from "./cursor.ts";

/** Block numbers up to 32 name a block; the highest ones are reserved for other headers. */
const BLOCK_ID_MAX = 32;
const MAIN_DATA_SHORT = 255;
const MAIN_DATA_LONG = 254;
const ORIGIN = 253;
const TOP_LEVEL_XID = 252;

const FORK_HAS_IMAGE = 0x10;
const FORK_SAME_RELATION = 0x80;
const IMAGE_HAS_HOLE = 0x01;
const IMAGE_COMPRESSED = 0x04 | 0x08 | 0x10;

/** Bytes of tablespace, database and relation number, and of a block number. */
const RELATION_BYTES = 12;
const BLOCK_NUMBER_BYTES = 4;

/** Headers of 33 blocks, the origin and the top-level xid fit in this many bytes. */
const HEADERS_BYTES_MAX = 1024;

/**
 * The main data of the cursor's current record: empty when it has none, undefined when its bytes were let go or its
 * headers make no sense.
 */
export function mainDataOf(cursor: RecordCursor): Buffer | undefined {
  const bodyBytes = cursor.length - RECORD_HEADER_BYTES;
  const headers = cursor.slice(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + Math.min(bodyBytes, HEADERS_BYTES_MAX));
  if (headers === undefined) return undefined;
  const sizeBytes = mainDataSize(headers, bodyBytes);
  if (sizeBytes === undefined || sizeBytes > bodyBytes) return undefined;
  return cursor.slice(cursor.length - sizeBytes, cursor.length);
}

/** A folder of files: of one database in one tablespace. */
export type RelationFolder = { readonly tablespace: number; readonly database: number };

/** The folders of the blocks that the cursor's current record touches; undefined when its headers cannot be read. */
export function foldersOf(cursor: RecordCursor): readonly RelationFolder[] | undefined {
  const bodyBytes = cursor.length - RECORD_HEADER_BYTES;
  const headers = cursor.slice(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + Math.min(bodyBytes, HEADERS_BYTES_MAX));
  const folders: RelationFolder[] = [];
  const noteRelation = (at: number): void => {
    if (headers === undefined || at + 8 > headers.byteLength) return;
    folders.push({ tablespace: headers.readUInt32LE(at), database: headers.readUInt32LE(at + 4) });
  };
  if (headers === undefined || mainDataSize(headers, bodyBytes, noteRelation) === undefined) return undefined;
  return folders;
}

/** `onRelation` hears where in the headers each block's tablespace, database and relation stand. */
function mainDataSize(headers: Buffer, bodyBytes: number, onRelation?: (at: number) => void): number | undefined {
  let at = 0;
  let blockBytes = 0;
  // Behind the headers lie images and data of the blocks: where only these are left, there is no main data.
  while (bodyBytes - at > blockBytes) {
    const left = headers.byteLength - at;
    const id = left > 0 ? headers.readUInt8(at) : undefined;
    if (id === MAIN_DATA_SHORT) return left >= 2 ? headers.readUInt8(at + 1) : undefined;
    if (id === MAIN_DATA_LONG) return left >= 5 ? headers.readUInt32LE(at + 1) : undefined;
    if (id === ORIGIN) {
      at += 3;
    } else if (id === TOP_LEVEL_XID) {
      at += 5;
    } else {
      const block = id === undefined || id > BLOCK_ID_MAX ? undefined : readBlockHeader(headers, at);
      if (block === undefined) return undefined;
      if (block.relationAt !== undefined) onRelation?.(block.relationAt);
      at += block.headerBytes;
      blockBytes += block.dataBytes;
    }
  }
  return 0;
}

function readBlockHeader(
  headers: Buffer,
  at: number,
): { readonly headerBytes: number; readonly dataBytes: number; readonly relationAt: number | undefined } | undefined {
  if (at + 4 > headers.byteLength) return undefined;
  const fork = headers.readUInt8(at + 1);
  let dataBytes = headers.readUInt16LE(at + 2);
  const isNamed = (fork & FORK_SAME_RELATION) === 0;
  let headerBytes = 4 + BLOCK_NUMBER_BYTES + (isNamed ? RELATION_BYTES : 0);
  if ((fork & FORK_HAS_IMAGE) !== 0) {
    if (at + 9 > headers.byteLength) return undefined;
    const image = headers.readUInt8(at + 8);
    dataBytes += headers.readUInt16LE(at + 4);
    headerBytes += 5 + ((image & IMAGE_HAS_HOLE) !== 0 && (image & IMAGE_COMPRESSED) !== 0 ? 2 : 0);
  }
  const relationAt = isNamed ? at + headerBytes - BLOCK_NUMBER_BYTES - RELATION_BYTES : undefined;
  return { headerBytes, dataBytes, relationAt };
}
