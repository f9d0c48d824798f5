/**
 * Every parser of bytes that we did not just write, given bytes that are nearly right: it answers, or refuses with an error
 * of its own that is no bug, and does not take long or much memory.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { checkServerManifest } from "../../src/backup/server-manifest.ts";
import { TarReader } from "../../src/backup/tar-reader.ts";
import { interpretJournal } from "../../src/journal/read.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { parseBackupLabel, parseTablespaceMap } from "../../src/postgres/backup-label.ts";
import { parseControlFile } from "../../src/postgres/control-file.ts";
import { crc32c } from "../../src/postgres/crc32c.ts";
import { type Lsn, segmentName, type Timeline } from "../../src/postgres/lsn.ts";
import { readColumns, readReport, readRow } from "../../src/postgres/wire/answers.ts";
import { FrameReader } from "../../src/postgres/wire/frame-reader.ts";
import { answerScram, beginScram, verifyScram } from "../../src/postgres/wire/scram.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import { listBackups } from "../../src/vault/backups.ts";
import { sealBlob } from "../../src/vault/blob.ts";
import { parseWrap } from "../../src/vault/keys.ts";
import { readManifest } from "../../src/vault/manifest.ts";
import { backupName, packName } from "../../src/vault/names.ts";
import { readPackIndex } from "../../src/vault/pack-reader.ts";
import { getBlob } from "../../src/vault/vault.ts";
import { parseHistory } from "../../src/wal/history.ts";
import { findEndOfWal, readEvents, segmentSummary, type WalSource } from "../../src/wal/records/reader.ts";
import { encodeMark, filledBehind, laidOutBytes, markPosition, readMarks } from "../../src/wal/spool-marks.ts";
import { GOLDEN_SERVER } from "../golden/make-vault.ts";
import { syntheticControlFile } from "../golden/synthetic-server.ts";
import { DEAR, fuzz } from "../support/fuzzing.ts";
import { takeSmallBackup } from "../support/small-restores.ts";
import { writeSyntheticWal } from "../support/synthetic-wal.ts";
import { createTestVault } from "../support/vaults.ts";

const vault = await createTestVault(openMemoryStore({ clock: systemClock }));
const backup = await takeSmallBackup(vault);

// --- What a server sends ----------------------------------------------------------------------------------------------

function tarOf(path: string, content: Buffer, type: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write("0000600\0", 100);
  header.write(`${content.byteLength.toString(8).padStart(11, "0")}\0`, 124);
  header.write("14000000000\0", 136);
  header.write(type, 156);
  header.write("ustar\x0000", 257);
  return sealed(Buffer.concat([header, content, Buffer.alloc((512 - (content.byteLength % 512)) % 512)]));
}

/** With the checksum of the first header, so that what lies behind it is read. */
function sealed(bytes: Buffer): Buffer {
  if (bytes.byteLength < 512) return bytes;
  bytes.fill(" ", 148, 156);
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return bytes;
}

const tars = ["0", "2", "5", "L", "x", "g"].map((type) =>
  Buffer.concat([
    tarOf("base/5/1234", Buffer.alloc("25".includes(type) ? 0 : 700, "12 path=a\n"), type),
    Buffer.alloc(1024),
  ]),
);
for (const [name, repair] of [
  ["a tar archive", (bytes: Buffer) => bytes],
  ["a tar archive whose checksum fits", sealed],
] as const) {
  fuzz(name, tars, async (bytes) => {
    const repaired = repair(bytes);
    const reader = new TarReader("base.tar", (entry) => {
      assert.ok(!entry.path.startsWith("/") && !entry.path.split("/").includes(".."), entry.path);
      return entry.kind === "file" ? { write: () => undefined, end: () => undefined } : undefined;
    });
    for (let at = 0; at < repaired.byteLength; at += 333) await reader.write(repaired.subarray(at, at + 333));
    reader.end();
  });
}

const listed = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [{"Path":"a","Size":1}, {"Encoded-Path":"6162","Size":2}],\n`;
const digest = createHash("sha256").update(listed).digest("hex");
const serverManifest = Buffer.from(`${listed}"Manifest-Checksum": "${digest}"}\n`);
fuzz("a server's manifest", [serverManifest], (bytes) =>
  checkServerManifest(
    bytes,
    new Map([
      ["a", 1],
      ["ab", 2],
    ]),
  ),
);

fuzz(
  "a backup_label",
  [
    Buffer.from(
      "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-22 22:15:30 UTC\nLABEL: a\nSTART TIMELINE: 1\n",
    ),
  ],
  parseBackupLabel,
);
fuzz("a tablespace_map", [Buffer.from("16400 /srv/space\n16401 /srv/a\\nb\n")], parseTablespaceMap);
fuzz("a timeline's history", [Buffer.from("1\t0/2000000\tno reason\n2\t0/3000000\tno\n")], (bytes) =>
  parseHistory(3 as Timeline, bytes),
);

const control = syntheticControlFile(GOLDEN_SERVER);
fuzz("a control file", [control], parseControlFile);
fuzz("a control file whose checksum fits", [control], (bytes) => {
  if (bytes.byteLength >= 292) bytes.writeUInt32LE(crc32c(bytes.subarray(0, 288)), 288);
  return parseControlFile(bytes);
});

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type, 0);
  head.writeUInt32BE(body.byteLength + 4, 1);
  return Buffer.concat([head, body]);
};
const row = Buffer.from("000300000002686900000000ffffffff", "hex");
const report = Buffer.from("SFATAL\0VFATAL\0C57P03\0Mstarting\0\0");
const frames = Buffer.concat([
  message("D", row),
  message("E", report),
  message("d", Buffer.from("dpayload")),
  message("c", Buffer.alloc(0)),
]);
fuzz("frames of the protocol", [frames], (bytes) => {
  for (const splitPayload of [false, true]) {
    const reader = new FrameReader();
    reader.splitPayload = splitPayload;
    for (let at = 0; at < bytes.byteLength; at += 7) {
      reader.append(Buffer.from(bytes.subarray(at, at + 7)));
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        if (frame.kind !== "message") continue;
        if (frame.type === "D".charCodeAt(0)) readRow(frame.body);
        if (frame.type === "E".charCodeAt(0)) readReport(frame.body);
      }
    }
  }
});
fuzz("a row", [row], readRow);
const columns = Buffer.concat([Buffer.from("0002", "hex"), ...["i", "text"].map(column)]);
fuzz("the columns of an answer", [columns], readColumns);
fuzz("a report", [report], readReport);

function column(name: string): Buffer {
  return Buffer.concat([Buffer.from(`${name}\0`), Buffer.alloc(18)]);
}

const scram = beginScram({ offered: ["SCRAM-SHA-256"], binding: { kind: "none" }, nonce: "abc" });
fuzz(
  "a challenge to log in",
  [Buffer.from("r=abcdef,s=c2FsdHNhbHRzYWx0,i=2")],
  (bytes) => answerScram(scram, { password: "x", challenge: bytes.toString("latin1").replace(/i=\d+/, "i=2") }),
  DEAR,
);
fuzz("a server's last word of a login", [Buffer.from(`v=${Buffer.alloc(32).toString("base64")}`)], (bytes) =>
  verifyScram(Buffer.alloc(32), bytes.toString("latin1")),
);

// --- WAL --------------------------------------------------------------------------------------------------------------

const SEGMENT_BYTES = 1024 * 1024;
const START = BigInt(5 * SEGMENT_BYTES) as Lsn;
const written = writeSyntheticWal(
  { start: START, walSegmentBytes: SEGMENT_BYTES },
  Array.from({ length: 120 }, (_, index) => ({
    rmgr: index % 3 === 0 ? 1 : index % 12,
    info: (index % 8) * 16,
    xid: index,
    mainData: Buffer.alloc(1 + ((index * 97) % 700), index),
  })),
);
/** The pages that hold something. */
const wal = written.bytes.subarray(0, 10 * 8192);

function sourceOf(bytes: Buffer): WalSource {
  const segment = Buffer.alloc(SEGMENT_BYTES);
  bytes.copy(segment, 0, 0, SEGMENT_BYTES);
  const name = segmentName({ timeline: 1 as Timeline, lsn: START, walSegmentBytes: SEGMENT_BYTES });
  return {
    walSegmentBytes: SEGMENT_BYTES,
    timelineAt: () => 1 as Timeline,
    readSegment: async (wanted) => (wanted === name ? segment : undefined),
  };
}

fuzz(
  "WAL",
  [wal],
  async (bytes) => {
    await findEndOfWal(sourceOf(bytes), { from: START });
    for await (const event of readEvents(sourceOf(bytes), { from: START })) assert.ok(event !== undefined);
    segmentSummary(bytes);
  },
  DEAR,
);

const mark = encodeMark({ start: START, syncedBytes: 0, filledBytes: 0, crc: 0 });
fuzz(
  "the marks of a partial",
  [Buffer.concat([mark, Buffer.alloc(4064), mark])],
  async (bytes) => {
    const { files } = memoryFiles();
    const handle = await files.open("/partial", "create");
    await handle.truncate(laidOutBytes(SEGMENT_BYTES));
    await handle.write(bytes, markPosition(SEGMENT_BYTES, 0));
    const marks = await readMarks(handle, { start: START, walSegmentBytes: SEGMENT_BYTES });
    for (const { filledBytes } of marks ?? []) assert.ok(filledBytes <= SEGMENT_BYTES);
  },
  DEAR,
);

fuzz(
  "the records behind a mark",
  [wal],
  async (bytes) => {
    const { files } = memoryFiles();
    const handle = await files.open("/partial", "create");
    await handle.truncate(laidOutBytes(SEGMENT_BYTES));
    await handle.write(bytes, 0);
    const place = { start: START, timeline: 1 as Timeline, walSegmentBytes: SEGMENT_BYTES };
    for (const filledBytes of [0, 40, 8192, SEGMENT_BYTES]) {
      const end = await filledBehind(handle, place, filledBytes);
      assert.ok(end >= filledBytes && end <= SEGMENT_BYTES);
    }
  },
  DEAR,
);

// --- The vault --------------------------------------------------------------------------------------------------------

const manifestName = backupName(backup, "manifest");
const announcedName = backupName(backup, "announced");
const plainManifest = await getBlob(vault, manifestName, {});
const plainRecord = await getBlob(vault, announcedName, {});
const manifestBytes = await vault.store.get(manifestName);

async function swap(name: string, bytes: Buffer): Promise<void> {
  await vault.store.delete(name);
  await vault.store.put(name, [bytes]);
}

/** As somebody would write it who has the key: the frames open, what is in them is wrong. */
async function resealed(name: string, plain: Buffer): Promise<void> {
  await swap(name, Buffer.concat(await sealBlob({ name, plain, level: 1 }, vault)));
}

fuzz(
  "a manifest that opens",
  [plainManifest],
  async (bytes) => {
    await resealed(manifestName, bytes);
    await readManifest(vault, backup, { onFile: () => undefined }, {});
  },
  DEAR,
);
fuzz(
  "the object of a manifest",
  [manifestBytes],
  async (bytes) => {
    await swap(manifestName, bytes);
    await readManifest(vault, backup, {}, {});
  },
  DEAR,
);
fuzz(
  "an announcement that opens",
  [plainRecord],
  async (bytes) => {
    await resealed(announcedName, bytes);
    await listBackups(vault, {}, {});
  },
  DEAR,
);

const packs: { readonly key: string; readonly bytes: Buffer }[] = [];
for await (const { key } of vault.store.list("packs/")) packs.push({ key, bytes: await vault.store.get(key) });
const [pack] = packs;
assert.ok(pack !== undefined);
const id = (pack.key.split("/").at(-1) ?? "") as Parameters<typeof packName>[0];
fuzz(
  "a pack's index",
  [pack.bytes.subarray(-200)],
  async (bytes) => {
    const whole = Buffer.concat([pack.bytes.subarray(0, -200), bytes]);
    await swap(packName(id), whole);
    await readPackIndex(vault, { id, keyId: vault.dataKey.id, sizeBytes: whole.byteLength }, {});
  },
  DEAR,
);

const wraps: Buffer[] = [];
for await (const { key } of vault.store.list("keys/")) wraps.push(await vault.store.get(key));
fuzz("a key wrap", wraps, parseWrap);
fuzz("a journal", [Buffer.from('{"format":"lifeboat-journal","version":1}\n{"number":1}\n')], interpretJournal);
