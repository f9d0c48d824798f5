/**
 * A server that exists only as the bytes it would send: a base backup with one of everything that a manifest can say.
 *
 * It stands in for PostgreSQL where the bytes must be the same for ever and be few; what a real server sends is tested
 * with real servers. Nothing here is random: `noise` is a stream of SHA-256.
 */
import { createHash } from "node:crypto";
import { crc32c } from "../../src/postgres/crc32c.ts";
import { type Lsn, parseLsn, type SystemId, type Timeline } from "../../src/postgres/lsn.ts";
import type { BaseBackupEnd, BaseBackupSink, ReplicationConnection } from "../../src/postgres/replication.ts";

/** A member of a base backup, with its path as a manifest names it. */
export type SyntheticFile = {
  readonly path: string;
  readonly mode: number;
  readonly modifiedS: number;
} & (
  | { readonly kind: "file"; readonly content: Buffer }
  | { readonly kind: "folder" }
  | { readonly kind: "link"; readonly target: string }
);

/** What a synthetic server says of itself and sends. */
export type SyntheticServer = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
  readonly walSegmentBytes: number;
  readonly history: string;
  readonly tablespaces: readonly { readonly oid: number; readonly location: string }[];
  readonly files: readonly SyntheticFile[];
};

/** Cut so that no page, header or file begins where a piece of the stream does. */
const SENT_BYTES = 10_007;

const SETTINGS: Readonly<Record<string, string>> = {
  full_page_writes: "on",
  wal_log_hints: "on",
  wal_level: "replica",
  data_checksums: "on",
};

/** Bytes that look random and are always the same for one seed. */
export function noise(seed: string, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += 32) parts.push(createHash("sha256").update(`${seed} ${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** A connection to the server, as far as a backup uses one. */
export function connectSynthetic(server: SyntheticServer): ReplicationConnection {
  const unused = (): never => {
    throw new Error("a backup does not ask for this");
  };
  return {
    serverVersion: 160_004,
    backendPid: 1,
    identifySystem: async () => ({ ...server, flushedLsn: server.endLsn }),
    show: async (parameter) => SETTINGS[parameter] ?? unused(),
    timelineHistory: async () => ({ name: "00000002.history", content: Buffer.from(server.history) }),
    createSlot: async () => unused(),
    readSlot: async () => unused(),
    dropSlot: async () => unused(),
    baseBackup: (_request, sink) => sendBackup(server, sink),
    startWal: async () => unused(),
    close: async () => undefined,
  };
}

async function sendBackup(server: SyntheticServer, sink: BaseBackupSink): Promise<BaseBackupEnd> {
  const { startLsn, timeline } = server;
  const tablespaces = server.tablespaces.map((each) => ({ ...each, sizeBytes: 0 }));
  await sink.begin({ startLsn, timeline, tablespaces, totalBytes: 0 });
  const inside = (oid: number): string => `pg_tblspc/${oid}/`;
  for (const { oid } of server.tablespaces) {
    const files = server.files.filter(({ path }) => path.startsWith(inside(oid)));
    const members = files.map((file) => ({ ...file, path: file.path.slice(inside(oid).length) }));
    await sendArchive(sink, { name: `${oid}.tar`, tablespaceOid: oid }, members);
  }
  const base = server.files.filter(({ path }) => !server.tablespaces.some(({ oid }) => path.startsWith(inside(oid))));
  await sendArchive(sink, { name: "base.tar", tablespaceOid: undefined }, base);
  await sink.manifest(serverManifest(server.files));
  return { endLsn: server.endLsn, timeline, skipped: [] };
}

async function sendArchive(
  sink: BaseBackupSink,
  archive: { readonly name: string; readonly tablespaceOid: number | undefined },
  members: readonly SyntheticFile[],
): Promise<void> {
  await sink.archive(archive);
  const tar = Buffer.concat([...members.flatMap(tarMember), Buffer.alloc(1024)]);
  for (let at = 0; at < tar.byteLength; at += SENT_BYTES) await sink.data(tar.subarray(at, at + SENT_BYTES));
}

function tarMember(file: SyntheticFile): readonly Buffer[] {
  const content = file.kind === "file" ? file.content : Buffer.alloc(0);
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at);
  };
  header.write(file.path, 0, 100);
  octal(file.mode, 100, 8);
  octal(content.byteLength, 124, 12);
  octal(file.modifiedS, 136, 12);
  header.write({ file: "0", link: "2", folder: "5" }[file.kind], 156);
  if (file.kind === "link") header.write(file.target, 157, 100);
  header.write("ustar\x0000", 257);
  header.fill(" ", 148, 156);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return [header, content, Buffer.alloc((512 - (content.byteLength % 512)) % 512)];
}

function serverManifest(files: readonly SyntheticFile[]): Buffer {
  const listed = files.flatMap((each) =>
    each.kind === "file" ? [{ Path: each.path, Size: each.content.byteLength }] : [],
  );
  const head = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": ${JSON.stringify(listed)},\n`;
  const checksum = createHash("sha256").update(head).digest("hex");
  return Buffer.from(`${head}"Manifest-Checksum": "${checksum}"}\n`);
}

/** A control file as PostgreSQL 16 writes it, as far as a backup reads it. */
export function syntheticControlFile(server: {
  readonly systemId: string;
  readonly timeline: Timeline;
  readonly walSegmentBytes: number;
}): Buffer {
  const bytes = Buffer.alloc(8192);
  bytes.writeBigUInt64LE(BigInt(server.systemId), 0);
  const words: readonly (readonly [number, number])[] = [
    [8, 1300],
    [12, 202307071],
    [16, 6],
    [48, server.timeline],
    [172, 1],
    [180, 100],
    [204, 8],
    [216, 8192],
    [220, 131_072],
    [224, 8192],
    [228, server.walSegmentBytes],
    [252, 1],
  ];
  for (const [offset, value] of words) bytes.writeUInt32LE(value, offset);
  bytes.writeUInt8(1, 176);
  bytes.writeDoubleLE(1_234_567, 208);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 288)), 288);
  return bytes;
}

/** A page with an LSN and text of its own. */
export function syntheticPage(seed: string, lsn: string): Buffer {
  const page = Buffer.alloc(8192, Buffer.from(`a row of ${seed}, `));
  const position = parseLsn(lsn);
  page.writeUInt32LE(Number(position >> 32n), 0);
  page.writeUInt32LE(Number(position & 0xffffffffn), 4);
  return page;
}

/** A segment of WAL of PostgreSQL 16 with the headers it needs and no record. */
export function syntheticSegment(at: {
  readonly systemId: string;
  readonly timeline: Timeline;
  readonly start: Lsn;
  readonly walSegmentBytes: number;
}): Buffer {
  const bytes = Buffer.alloc(at.walSegmentBytes);
  for (let page = 0; page < bytes.byteLength; page += 8192) {
    bytes.writeUInt16LE(0xd113, page);
    bytes.writeUInt16LE(page === 0 ? 2 : 0, page + 2);
    bytes.writeUInt32LE(at.timeline, page + 4);
    bytes.writeBigUInt64LE(at.start + BigInt(page), page + 8);
  }
  bytes.writeBigUInt64LE(BigInt(at.systemId), 24);
  bytes.writeUInt32LE(at.walSegmentBytes, 32);
  bytes.writeUInt32LE(8192, 36);
  return bytes;
}
