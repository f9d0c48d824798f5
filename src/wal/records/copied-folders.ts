/**
 * Finds databases that WAL copies by their files, and whether replay over an image copies what the server did.
 *
 * Nouns: a *folder* is a database's in one tablespace; a *copy* is the record of `CREATE DATABASE … STRATEGY file_copy` and of
 * `ALTER DATABASE … SET TABLESPACE`: replay removes the target folder and copies the source folder as it lies there then; such a
 * copy is *unsound* when the source folder of an image may be another by then.
 * Whoever takes an image reads a folder at some moment between the image's start and its end. WAL before the copy makes of it what it was
 * at the copy: each page changed there has its whole image in that WAL, each file made or removed its record. What happens to the source
 * after the copy nothing undoes: files that are gone are not copied, and no error says so; later pages are copied as they are, a torn
 * page too, and the WAL that mends them mends the source.
 * Invariant: no unsound copy is passed over. A move is one: its source is removed behind it, before a record says so. One by
 * `CREATE DATABASE` is one when a record behind it touches its source, or when its source may be under removal as the image ends. A copy whose
 * target is dropped again before the end harms nobody. `STRATEGY wal_log` writes every page to the WAL, and is no copy.
 * The records have been the same from PostgreSQL 15 to 18.
 * Source: PostgreSQL's src/backend/commands/dbcommands.c, src/include/commands/dbcommands_xlog.h, catalog/storage_xlog.h, utils/relmapper.h.
 */
import { type Lsn, lsnAdd, segmentStart } from "../../postgres/lsn.ts";
import { type RecordCursor, RMGR_XACT } from "./cursor.ts";
import { decodeEvent } from "./events.ts";
import { foldersOf, mainDataOf, type RelationFolder } from "./main-data.ts";

/** A copy that a record tells of. */
export type FolderCopy = { readonly lsn: Lsn; readonly source: RelationFolder; readonly target: RelationFolder };

/** Why replay may copy something else. */
export type UnsoundCopy = FolderCopy & { readonly why: "moved" | "source-dropped" | "source-changed" };

const RMGR_STORAGE = 2;
const RMGR_DATABASE = 4;
const RMGR_RELATION_MAP = 7;
const RMGR_HEAP = 10;
const RMGR_CUSTOM_MIN = 128;

const INFO_OF_MANAGER = 0xf0;
const DATABASE_COPY = 0x00;
const DATABASE_DROP = 0x20;
const STORAGE_TRUNCATE = 0x20;
const HEAP_OPERATION_MASK = 0x70;
const HEAP_DELETE = 0x10;

/** Where the catalogs lie that all databases share. */
const GLOBAL_TABLESPACE = 1664;
/** A longer record may have lost its beginning where segments of a MiB share memory; one that drops a database has no subtransactions. */
const XACT_BYTES_MAX = 1024 * 1024;

/** How far to read for an image that ends at `end`: behind it, in a segment that is read anyway, its source's drop may be told. */
export function lastSegmentEnd(end: Lsn, walSegmentBytes: number): Lsn {
  return lsnAdd(segmentStart((end - 1n) as Lsn, walSegmentBytes), walSegmentBytes);
}

/** The copy that a cursor's current record tells of; undefined for any other record. */
export function decodeCopy(cursor: RecordCursor): FolderCopy | undefined {
  if (cursor.rmgr !== RMGR_DATABASE || (cursor.info & INFO_OF_MANAGER) !== DATABASE_COPY) return undefined;
  const data = mainDataOf(cursor);
  if (data === undefined || data.byteLength < 16) return undefined;
  const folderAt = (at: number): RelationFolder => ({
    database: data.readUInt32LE(at),
    tablespace: data.readUInt32LE(at + 4),
  });
  return { lsn: BigInt(cursor.lsn) as Lsn, target: folderAt(0), source: folderAt(8) };
}

/** `why` once it is unsound. */
type NotedCopy = FolderCopy & { why: UnsoundCopy["why"] | undefined };

/** Shown every record from an image's start on, or from the first copy on, tells which copies are unsound. */
export class CopiedFolders {
  readonly #end: number;
  /** By target: a later copy to a folder takes the place of an earlier one. */
  readonly #copies = new Map<string, NotedCopy>();
  readonly #bySource = new Map<string, NotedCopy[]>();
  /** Transactions under way that deleted from a shared catalog behind the first copy: one of them may be dropping a database. */
  readonly #deleting = new Set<number>();

  /** `end` is the image's. Records behind it are looked at for drops only, which remove files before they are told. */
  constructor(end: Lsn) {
    this.#end = Number(end);
  }

  visit(cursor: RecordCursor): undefined {
    const isWithin = cursor.lsn < this.#end;
    if (cursor.rmgr === RMGR_DATABASE) this.#visitDatabase(cursor, isWithin);
    else if (cursor.rmgr === RMGR_XACT) this.#visitTransaction(cursor);
    else if (isWithin && this.#copies.size > 0) this.#visitChange(cursor);
  }

  /** Of several the first. Asked for when every record was shown. */
  unsound(): UnsoundCopy | undefined {
    for (const { why, ...copy } of this.#copies.values()) {
      const settled = why ?? (this.#deleting.size > 0 ? "source-dropped" : undefined);
      if (settled !== undefined) return { ...copy, why: settled };
    }
    return undefined;
  }

  #visitDatabase(cursor: RecordCursor, isWithin: boolean): void {
    const copy = isWithin ? decodeCopy(cursor) : undefined;
    if (copy !== undefined) this.#note(copy);
    if ((cursor.info & INFO_OF_MANAGER) !== DATABASE_DROP) return;
    const data = mainDataOf(cursor);
    if (data === undefined || data.byteLength < 8) return;
    const database = data.readUInt32LE(0);
    const count = Math.min(data.readInt32LE(4), Math.floor(data.byteLength / 4) - 2);
    for (let index = 0; index < count; index += 1) {
      const folder = { database, tablespace: data.readUInt32LE(8 + index * 4) };
      if (isWithin) this.#copies.delete(keyOf(folder));
      this.#touch(folder, "source-dropped");
    }
  }

  #note(copy: FolderCopy): void {
    const [source, target] = [keyOf(copy.source), keyOf(copy.target)];
    this.#touch(copy.target, "source-changed");
    const noted = { ...copy, why: copy.source.database === copy.target.database ? ("moved" as const) : undefined };
    this.#copies.delete(target);
    this.#copies.set(target, noted);
    this.#bySource.set(source, [...(this.#bySource.get(source) ?? []), noted]);
  }

  /** What dropped a database has told of it before it ends. */
  #visitTransaction(cursor: RecordCursor): void {
    if (this.#deleting.size === 0) return;
    const event = decodeEvent(cursor);
    if (event?.kind !== "commit" && event?.kind !== "abort") return;
    this.#deleting.delete(event.xid);
    if (cursor.length > XACT_BYTES_MAX) return;
    for (const xid of event.subtransactions) this.#deleting.delete(xid);
  }

  /**
   * Files that a commit removes are not looked for: whoever removes them has written to the database's catalogs before, and behind the
   * copy, which waits until nobody is in its source.
   */
  #visitChange(cursor: RecordCursor): void {
    const folders = foldersOf(cursor);
    // What another's manager or a record that cannot be read changes, nobody knows.
    if (folders === undefined || (cursor.rmgr >= RMGR_CUSTOM_MIN && folders.length === 0)) {
      for (const copy of this.#copies.values()) copy.why ??= "source-changed";
      return;
    }
    for (const folder of folders) this.#touch(folder, "source-changed");
    const named = folderNamed(cursor);
    if (named !== undefined) this.#touch(named, "source-changed");
    const isDelete = cursor.rmgr === RMGR_HEAP && (cursor.info & HEAP_OPERATION_MASK) === HEAP_DELETE;
    if (isDelete && folders[0]?.tablespace === GLOBAL_TABLESPACE) this.#deleting.add(cursor.xid);
  }

  #touch(folder: RelationFolder, why: UnsoundCopy["why"]): void {
    for (const copy of this.#bySource.get(keyOf(folder)) ?? []) copy.why ??= why;
  }
}

/** The folder in which a record without blocks makes, cuts or maps files. */
function folderNamed(cursor: RecordCursor): RelationFolder | undefined {
  if (cursor.rmgr !== RMGR_STORAGE && cursor.rmgr !== RMGR_RELATION_MAP) return undefined;
  const data = mainDataOf(cursor);
  if (data === undefined || data.byteLength < 12) return undefined;
  if (cursor.rmgr === RMGR_RELATION_MAP) return { database: data.readUInt32LE(0), tablespace: data.readUInt32LE(4) };
  const at = (cursor.info & INFO_OF_MANAGER) === STORAGE_TRUNCATE ? 4 : 0;
  return { tablespace: data.readUInt32LE(at), database: data.readUInt32LE(at + 4) };
}

function keyOf({ tablespace, database }: RelationFolder): string {
  return `${tablespace}/${database}`;
}
