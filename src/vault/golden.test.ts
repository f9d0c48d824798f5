import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { loadGolden, objectsOf, openGolden } from "../../test/golden/load-golden.ts";
import {
  GOLDEN_OUTSIDE,
  GOLDEN_PASSPHRASE,
  GOLDEN_SEGMENT,
  GOLDEN_SERVER,
  makeGoldenVault,
} from "../../test/golden/make-vault.ts";
import {
  backupsBySpec,
  blobBySpec,
  type Objects,
  openBySpec,
  packBySpec,
  type ReadBackup,
  type ReadFile,
  type Secret,
} from "../../test/golden/read-by-spec.ts";
import { listBackups } from "./backups.ts";
import { checkVault } from "./check.ts";
import type { VaultSecret } from "./keys.ts";
import { type ChunkTable, type ManifestFile, OUTSIDE_PREFIX, readManifest, ZERO_CHUNK } from "./manifest.ts";
import { VAULT_MARKER_COPY } from "./names.ts";
import { CHUNK_BYTES_MAX } from "./pack.ts";
import { fetchChunks, readPackIndex } from "./pack-reader.ts";
import type { Vault } from "./vault.ts";
import { getHistory, getSegment, listWal } from "./wal-store.ts";

const RECOVERY_KEY = "H7G4-WV83-5114-XVQZ-WS3J-HFAE-DX93-KENA-ZA";
const BACKUP_ID = "20261122t221532z-4008593e";

/** The expected content of every file, by its path in the manifest. */
const expected: ReadonlyMap<string, Buffer> = new Map([
  ...GOLDEN_SERVER.files.flatMap((each) => (each.kind === "file" ? [[each.path, each.content] as const] : [])),
  ...GOLDEN_OUTSIDE.map(({ name, content }) => [`${OUTSIDE_PREFIX}${name}`, content] as const),
]);

const secrets: readonly VaultSecret[] = [
  { kind: "passphrase", passphrase: GOLDEN_PASSPHRASE },
  { kind: "recovery-key", recoveryKey: RECOVERY_KEY },
];
const secretsBySpec: readonly Secret[] = [{ passphrase: GOLDEN_PASSPHRASE }, { recoveryKey: RECOVERY_KEY }];

describe("the golden vault of format version 1", () => {
  let golden: Objects;
  let vault: Vault;

  before(async () => {
    golden = loadGolden("vault-1");
    vault = await openGolden(golden, secrets[0] as VaultSecret);
  });

  test("opens with the passphrase and with the recovery key, to the same data key", async () => {
    for (const secret of secrets) {
      const opened = await openGolden(golden, secret);
      assert.deepEqual(opened.dataKey, vault.dataKey);
      assert.equal(opened.id, "682cb9c4f224ead6d357adcb6f3d06fd");
    }
  });

  test("announces the backup with what it needs", async () => {
    const { backups, damaged, unfinished } = await listBackups(vault, {}, {});
    assert.deepEqual([backups.length, damaged.length, unfinished.length], [1, 0, 0]);
    assert.deepEqual(backups[0], {
      format: "lifeboat-backup",
      version: 1,
      backupId: BACKUP_ID,
      systemId: "7441234567890123456",
      label: "golden",
      tier: "manual",
      serverVersion: 160_004,
      timeline: 2,
      startLsn: "0/300028",
      endLsn: "0/300100",
      walSegmentBytes: 1_048_576,
      startedAt: "2026-11-22T22:15:32.000Z",
      endedAt: "2026-11-22T22:15:34.000Z",
      whyFull: "no-parent",
      parent: null,
      fileCount: 15,
      dataBytes: 585_691,
      storedBytes: 19_945,
      durationMs: 0,
    });
  });

  test("says the same of every file as the server did, and gives back every byte", async () => {
    const lines: ManifestFile[] = [];
    const { header, end, chunks } = await readManifest(vault, named(), { onFile: (line) => lines.push(line) }, {});
    assert.equal(header.history, GOLDEN_SERVER.history);
    assert.deepEqual(header.tablespaces, GOLDEN_SERVER.tablespaces);
    assert.equal(end.fileCount, expected.size);
    const plain = await fetchAll(vault, chunks);
    const contents = new Map(lines.map((line) => [line.path, contentOf(line, plain)]));
    for (const [file, content] of expected) assert.ok(contents.get(file)?.equals(content), file);
    const given = GOLDEN_SERVER.files.map(({ path: name, mode, modifiedS }) => ({ path: name, mode, modifiedS }));
    const kept = lines.map(({ path: name, mode, modifiedS }) => ({ path: name, mode, modifiedS }));
    assert.deepEqual(sorted(kept.filter(({ path: name }) => !name.startsWith(OUTSIDE_PREFIX))), sorted(given));
    const link = lines.find((line) => line.kind === "link");
    assert.deepEqual([link?.path, link?.target], ["pg_tblspc/16400", "/srv/tablespace"]);
  });

  test("has what a reader must cope with: several chunks, the largest ones among them, both codecs, zero pages, shared pieces", async () => {
    const lines: ManifestFile[] = [];
    const { chunks } = await readManifest(vault, named(), { onFile: (line) => lines.push(line) }, {});
    assert.ok(chunks.plainBytes.length > 4);
    assert.ok(chunks.plainBytes.includes(CHUNK_BYTES_MAX));
    assert.deepEqual([...new Set(chunks.codecs)].sort(), [0, 1]);
    assert.deepEqual([...new Set(lines.map(({ kind }) => kind))].sort(), ["bytes", "folder", "link", "pages"]);
    const onlyZeros = lines.find((line) => line.path === "base/5/16387");
    assert.deepEqual(onlyZeros?.kind === "pages" && onlyZeros.extents, [0, 3, ZERO_CHUNK, 0]);
    const [one, other] = lines.filter((line) => line.kind === "bytes" && line.path.endsWith("PG_VERSION"));
    assert.ok(one?.kind === "bytes" && other?.kind === "bytes");
    assert.deepEqual([one.pieces, one.contentName], [other.pieces, other.contentName]);
    const [pack] = chunks.packs;
    assert.ok(pack !== undefined);
    const places = await readPackIndex(vault, pack, {});
    assert.deepEqual(
      places.map(({ offset }) => offset),
      [...chunks.offsets].sort((a, b) => a - b),
    );
  });

  test("holds its segment of WAL and its history, and a check finds nothing wrong", async () => {
    const { systemId, timeline, history } = GOLDEN_SERVER;
    const { segment, bytes } = GOLDEN_SEGMENT;
    assert.deepEqual(await listWal(vault, { systemId }, {}), { segments: [segment], histories: [timeline] });
    assert.ok((await getSegment(vault, { systemId, segment }, {}))?.equals(bytes));
    assert.equal((await getHistory(vault, { systemId, timeline }, {}))?.toString(), history);
    const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
    assert.deepEqual([report.findings, report.unreferencedPacks], [[], []]);
    assert.deepEqual(
      report.backups.map(({ whole }) => whole),
      [true],
    );
  });

  test("is read to the same bytes by a reader written from the format's pages alone", () => {
    for (const secret of secretsBySpec) {
      const keys = openBySpec(golden, secret);
      const [backup] = backupsBySpec(golden, keys);
      assert.ok(backup !== undefined);
      assertSameFiles(backup);
      const { segment, bytes } = GOLDEN_SEGMENT;
      const name = `wal/${GOLDEN_SERVER.systemId}/00000002/${segment.toLowerCase()}`;
      assert.ok(blobBySpec(golden, keys, name).equals(bytes));
      const [pack] = [...golden.keys()].filter((each) => each.startsWith("packs/"));
      assert.ok(packBySpec(golden, keys, pack ?? "").length > 4);
    }
  });
});

describe("making the golden vault again", () => {
  test("gives the same bytes each time, and says the same as the golden but for chance, time, compression and how much a chunk has", async () => {
    const [one, two] = [await makeGoldenVault(), await makeGoldenVault()];
    const made = await objectsOf(one.store);
    assert.deepEqual(made, await objectsOf(two.store));
    const golden = loadGolden("vault-1");
    const shape = (objects: Objects): unknown => ({
      // The golden is from before the marker had a copy.
      names: [...objects.keys()]
        .filter((name) => name !== VAULT_MARKER_COPY)
        .map((name) => name.replace(/[0-9a-f]{16,}|(?<=packs\/)[0-9a-f]{2}|\d{8}t\d+z-\w+/g, "…"))
        .sort(),
      backups: backupsBySpec(objects, openBySpec(objects, { passphrase: GOLDEN_PASSPHRASE })).map(shapeOf),
      clear: [...objects].flatMap(([name, bytes]) =>
        name.endsWith(".json") ? [fieldsOf(JSON.parse(`${bytes}`))] : [],
      ),
    });
    assert.deepEqual(shape(made), shape(golden));
  });
});

function named(): Parameters<typeof readManifest>[1] {
  return { systemId: GOLDEN_SERVER.systemId, backupId: BACKUP_ID as Parameters<typeof readManifest>[1]["backupId"] };
}

async function fetchAll(vault: Vault, table: ChunkTable): Promise<ReadonlyMap<number, Buffer>> {
  const plain = new Map<number, Buffer>();
  for (const [index, pack] of table.packs.entries()) {
    const numbers = [...table.packOf.keys()].filter((number) => table.packOf[number] === index);
    for await (const chunk of fetchChunks(vault, { table, pack, numbers }, {}))
      plain.set(chunk.number, await chunk.plain);
  }
  return plain;
}

function contentOf(line: ManifestFile, chunks: ReadonlyMap<number, Buffer>): Buffer {
  if (line.kind === "folder" || line.kind === "link") return Buffer.alloc(0);
  const content = Buffer.alloc(line.sizeBytes);
  let at = 0;
  const take = (chunk: number, from: number, length: number): void => {
    if (chunk !== ZERO_CHUNK) chunks.get(chunk)?.copy(content, at, from, from + length);
    at += length;
  };
  if (line.kind === "bytes") {
    for (let run = 0; run < line.pieces.length; run += 3) {
      const [chunk = 0, from = 0, length = 0] = line.pieces.slice(run, run + 3);
      take(chunk, from, length);
    }
    return content;
  }
  for (let run = 0; run < line.extents.length; run += 4) {
    const [, pages = 0, chunk = 0, slot = 0] = line.extents.slice(run, run + 4);
    take(chunk, slot * 8192, pages * 8192);
  }
  return content;
}

function assertSameFiles(backup: ReadBackup): void {
  const withContent = [...backup.files].filter(([, { line }]) => line.kind === "pages" || line.kind === "bytes");
  assert.deepEqual(withContent.map(([name]) => name).sort(), [...expected.keys()].sort());
  for (const [name, file] of withContent) {
    assert.ok(file.content.equals(expected.get(name) ?? Buffer.alloc(0)), name);
    if (file.line.kind === "pages") assertFingerprints(name, file);
  }
}

function assertFingerprints(name: string, { content, fingerprints }: ReadFile): void {
  const pages = content.byteLength / 8192;
  assert.equal(fingerprints.byteLength, pages * 12, name);
  for (let page = 0; page < pages; page += 1) {
    const bytes = content.subarray(page * 8192, (page + 1) * 8192);
    assert.ok(
      fingerprints.subarray(page * 8, page * 8 + 8).equals(bytes.subarray(0, 8)),
      `LSN of page ${page} of ${name}`,
    );
    assert.equal(fingerprints.readUInt32LE(pages * 8 + page * 4), crc32(bytes), `CRC of page ${page} of ${name}`);
  }
}

/** What a backup says, without what chance, the clock or the compressor decides. */
function shapeOf(backup: ReadBackup): unknown {
  const varying = { backupId: "", startedAt: "", endedAt: "", storedBytes: 0 };
  return {
    record: { ...backup.record, ...varying },
    header: { ...backup.header, ...varying },
    end: { ...backup.end, ...varying, chunkCount: 0 },
    files: [...backup.files.values()].map(({ line, content }) => ({
      fields: fieldsOf(line),
      path: line.path,
      content,
    })),
  };
}

function fieldsOf(json: object): unknown {
  return Object.entries(json).map(([key, value]) => [key, typeof value]);
}

function sorted<T extends { readonly path: string }>(files: readonly T[]): readonly T[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}
