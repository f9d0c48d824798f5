import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { changePage, fileOf, PLANTED } from "../../test/support/planted-faults.ts";
import { type Proven, prove, proveFully } from "../../test/support/proofs.ts";
import { takeRecorded } from "../../test/support/recordings.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { recordSmallCluster } from "../../test/support/small-cluster.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { formatLsn, type Lsn } from "../postgres/lsn.ts";
import { type ManifestFile, ManifestWriter, readManifest } from "../vault/manifest.ts";
import { backupName, packName, segmentKey } from "../vault/names.ts";
import { chunksByPack, placeOf } from "../vault/pack-reader.ts";
import type { ProofRecord } from "../vault/proofs.ts";
import { PROOF_DEPTHS } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import { putSegment } from "../vault/wal-store.ts";

const cluster = await recordSmallCluster();

/** A vault with one backup, and the names of its objects. */
async function oneBackup() {
  const vault = await createTestVault();
  const backup = await takeRecorded(cluster.first, vault);
  const { chunks } = await readManifest(vault, backup, {}, {});
  const [pack] = chunks.packs;
  assert.ok(pack !== undefined);
  const [segment = ""] = cluster.first.wal.keys();
  const names = {
    pack: packName(pack.id),
    manifest: backupName(backup, "manifest"),
    "WAL segment": segmentKey({ systemId: backup.systemId, segment }),
  };
  return { vault, backup, names };
}

async function flip(vault: Vault, key: string, at: (sizeBytes: number) => number): Promise<void> {
  const bytes = await vault.store.get(key);
  const offset = at(bytes.byteLength);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  await vault.store.delete(key);
  await vault.store.put(key, [bytes]);
}

/** Where a bit is flipped: in the header, in what is sealed, and at the very end. */
const PLACES = {
  "at its beginning": () => 20,
  "in its middle": (size: number) => size >> 1,
  "at its end": (size: number) => size - 1,
};

/** Passes at every depth before `depth`, and fails there; the failure is in the record. */
async function failsAt(of: Proven, depth: ProofRecord["failedAt"], object: string): Promise<void> {
  for (const each of PROOF_DEPTHS) {
    if (each === "booted") break;
    const proof = await prove(of, each);
    if (PROOF_DEPTHS.indexOf(each) < PROOF_DEPTHS.indexOf(depth ?? "checked")) assert.equal(proof.failedAt, null, each);
    else {
      assert.equal(proof.failedAt, depth);
      assert.ok(
        proof.findings.some((finding) => finding.object === object),
        JSON.stringify(proof.findings),
      );
    }
  }
}

describe("one bit flipped in the vault is caught at its depth, and the object is named:", () => {
  for (const [what, depth] of [
    ["manifest", "present"],
    ["pack", "intact"],
    ["WAL segment", "intact"],
  ] as const) {
    for (const [where, at] of Object.entries(PLACES)) {
      test(`in a ${what}, ${where}, at depth ${depth}`, async () => {
        const { vault, backup, names } = await oneBackup();
        await flip(vault, names[what], at);
        await failsAt({ vault, backup, folder: "/nowhere" }, depth, names[what]);
      });
    }
  }
});

describe("an object of the vault that is gone or cut is caught at depth present:", () => {
  for (const what of ["manifest", "pack", "WAL segment"] as const) {
    test(`a ${what}`, async () => {
      const { vault, backup, names } = await oneBackup();
      await vault.store.delete(names[what]);
      const proof = await prove({ vault, backup, folder: "/nowhere" }, "present");
      assert.equal(proof.failedAt, "present");
      assert.ok(proof.findings.every(({ code }) => /^(vault\.object-missing|restore\.wal-gap)$/.test(code)));
    });
  }

  test("a pack of another size", async () => {
    const { vault, backup, names } = await oneBackup();
    const bytes = await vault.store.get(names.pack);
    await vault.store.delete(names.pack);
    await vault.store.put(names.pack, [bytes.subarray(1)]);
    const proof = await prove({ vault, backup, folder: "/nowhere" }, "present");
    assert.deepEqual([proof.failedAt, proof.findings[0]?.code], ["present", "vault.object-damaged"]);
  });
});

test("WAL that goes on after a hole is told with the proof, and is no finding", async () => {
  const { vault, backup } = await oneBackup();
  assert.equal((await proveFully({ vault, backup, folder: "/nowhere" }, "present")).gap, undefined);
  const names = [...cluster.first.wal.keys()];
  const [last = "", beyond = ""] = [names.at(-1), [...cluster.second.wal.keys()].at(-1)];
  const bytes = cluster.second.wal.get(beyond);
  assert.ok(bytes !== undefined);
  await putSegment(vault, { systemId: backup.systemId, segment: beyond, bytes }, {});
  const { record, gap } = await proveFully({ vault, backup, folder: "/nowhere" }, "intact");
  assert.deepEqual([record.reached, record.findings], ["intact", []]);
  const number = (segment: string): number => Number.parseInt(segment.slice(16), 16);
  const missing = number(beyond) - number(last) - 1;
  assert.ok(missing > 0, `${last} to ${beyond}`);
  const end = formatLsn(BigInt((number(last) + 1) * cluster.walSegmentBytes) as Lsn);
  assert.deepEqual(
    [gap?.afterLsn, gap?.segmentCount, number(gap?.firstSegment ?? "")],
    [end, missing, number(last) + 1],
  );
});

test("pages that are not those their fingerprints were made of are caught at depth intact, with the block", async () => {
  const { vault, backup } = await oneBackup();
  const damaged = await swapFingerprints(vault, backup);
  const proof = await prove({ vault, backup, folder: "/nowhere" }, "intact");
  assert.deepEqual([proof.reached, proof.failedAt], ["present", "intact"]);
  assert.deepEqual(new Set(proof.findings.map(({ code }) => code)), new Set(["fingerprint"]));
  assert.match(proof.findings[0]?.object ?? "", new RegExp(`^${damaged}, block \\d+$`));
});

/** Writes the manifest anew with the fingerprints of one file begun one page too far; every object opens. */
async function swapFingerprints(vault: Vault, backup: Parameters<typeof readManifest>[1]): Promise<string> {
  const files: ManifestFile[] = [];
  const { header, end, chunks } = await readManifest(vault, backup, { onFile: (file) => files.push(file) }, {});
  const pages = files.filter((file) => file.kind === "pages" && file.sizeBytes > 0);
  const [one, other] = [
    pages[0],
    pages.find(
      (file) =>
        file.kind === "pages" &&
        pages[0] !== file &&
        file.sizeBytes === (pages[0]?.kind === "pages" ? pages[0].sizeBytes : 0),
    ),
  ];
  assert.ok(one?.kind === "pages");
  const writer = new ManifestWriter(vault, header);
  const [, second = 0, bytes = 0] = one.fingerprints;
  const moved =
    other?.kind === "pages"
      ? other.fingerprints
      : [one.fingerprints[0] ?? 0, second + 4, bytes, ...one.fingerprints.slice(3)];
  for (const file of files) await writer.file(file === one ? { ...one, fingerprints: [...moved] } : file);
  const numbers = chunksByPack(chunks);
  for (const [index, facts] of chunks.packs.entries()) {
    const own = numbers[index] ?? [];
    writer.pack({ facts, numbers: own, places: own.map((number) => placeOf(chunks, number)) });
  }
  const object = await writer.end(end);
  await vault.store.delete(object.name);
  await vault.store.put(object.name, object.parts);
  return one.path;
}

async function fill(server: TestServer): Promise<void> {
  for (const table of ["heaped", "indexed", "mapped", "stale", "sound"]) {
    await server.query(`CREATE TABLE ${table} (id int PRIMARY KEY, body text)`);
    await server.query(`INSERT INTO ${table} SELECT g, md5(g::text) FROM generate_series(1, 1000) g`);
  }
  await server.query("VACUUM (FREEZE) heaped, indexed, mapped, stale, sound");
  await server.query("DELETE FROM stale WHERE id <= 5");
  await server.query("CHECKPOINT");
}

describe("damage that the server had before the backup was taken, and that its page checksums do not show:", () => {
  test("heap, index and visibility maps are each caught at depth checked, with relation and block; booted passes", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer();
      await fill(server);
      const files = {
        heaped: await fileOf(server, "heaped"),
        indexed: await fileOf(server, "indexed_pkey"),
        mapped: await fileOf(server, "mapped"),
        stale: await fileOf(server, "stale"),
      };
      await server.stop();
      // A tuple that claims to begin its data outside of itself.
      changePage(files.heaped, 2, PLANTED.rowOutside);
      changePage(files.indexed, 1, PLANTED.key);
      // The flag that the map relies on is taken from the page (safety rule A1).
      changePage(files.mapped, 1, PLANTED.flagTaken);
      // Map and page both call a block all-visible in which rows were deleted.
      changePage(files.stale, 0, PLANTED.flagSet);
      changePage(`${files.stale}_vm`, 0, PLANTED.firstBlockVisible);
      await server.start();
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      const booted = await prove({ vault, backup, server, folder }, "booted");
      assert.deepEqual([booted.reached, booted.findings], ["booted", []]);
      const proof = await prove({ vault, backup, server, folder }, "checked");
      assert.deepEqual([proof.reached, proof.failedAt], ["booted", "checked"]);
      const found = proof.findings.map(({ code, object }) => `${code}: ${object}`);
      const wanted = [
        /^heap: database postgres, table public\.heaped, block 2$/,
        /^index: database postgres, index public\.indexed_pkey$/,
        /^visibility-map: database postgres, table public\.mapped$/,
        /^visibility-map: database postgres, table public\.stale$/,
      ];
      for (const pattern of wanted)
        assert.ok(
          found.some((each) => pattern.test(each)),
          `${pattern} in ${found.join("; ")}`,
        );
      assert.ok(!found.some((each) => each.includes("sound") || each.startsWith("page")), found.join("; "));
      assert.ok(proof.findings.some(({ message }) => /block 1 of public\.mapped all-visible/.test(message)));
      assert.ok(proof.findings.some(({ message }) => /of public\.stale is not (visible to all|frozen)/.test(message)));
    });
  });

  test("a flipped byte in a cluster without checksums, in an index, is caught at depth checked", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer({ dataChecksums: false });
      await fill(server);
      const file = await fileOf(server, "indexed_pkey");
      await server.stop();
      changePage(file, 1, PLANTED.key, "none");
      await server.start();
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      const proof = await prove({ vault, backup, server, folder }, "checked");
      assert.deepEqual(
        proof.findings.map(({ code, object }) => [code, object]),
        [["index", "database postgres, index public.indexed_pkey"]],
      );
    });
  });
});

test("a page that its checksum gives away is caught with file, block and relation, where the backup could not see it", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    await fill(server);
    const file = await fileOf(server, "heaped");
    const [high = 0, low = 0] = (await server.value("SELECT pg_current_wal_lsn()"))
      .split("/")
      .map((part) => Number.parseInt(part, 16));
    await server.stop();
    changePage(
      file,
      3,
      (page) => {
        // The server passes over pages newer than its backup's start: they may be torn, and WAL is to mend them.
        page.writeUInt32LE(high, 0);
        page.writeUInt32LE(low + 64 * 1024 * 1024, 4);
        page[BLOCK_BYTES - 20] = (page[BLOCK_BYTES - 20] ?? 0) ^ 1;
      },
      "left",
    );
    await server.start();
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const proof = await prove({ vault, backup, server, folder }, "checked");
    assert.deepEqual([proof.reached, proof.failedAt], ["booted", "checked"]);
    const page = proof.findings.find(({ code }) => code === "page");
    assert.match(page?.object ?? "", /^base\/\d+\/\d+, block 3 \(database postgres, public\.heaped\)$/);
  });
});

test("an invariant that does not hold, and one that cannot be asked, are findings; the others are asked all the same", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    await server.query("CREATE TABLE orders (id int)");
    await server.query("INSERT INTO orders VALUES (7)");
    const vault = await createTestVault();
    const backup = await takeTestBackup(server, vault);
    const database = "postgres";
    const proof = await prove({ vault, backup, server, folder }, "checked", {
      invariants: [
        { name: "empty", database, expect: "no-rows", sql: "SELECT id FROM orders" },
        { name: "wrong", database, expect: "is-true", sql: "SELECT count(*) = 0 FROM orders" },
        { name: "no answer", database, expect: "is-true", sql: "SELECT true WHERE false" },
        { name: "no table", database, expect: "no-rows", sql: "SELECT 1 FROM customers" },
        { name: "holds", database, expect: "is-true", sql: "SELECT count(*) = 1 FROM orders" },
      ],
    });
    assert.equal(proof.failedAt, "checked");
    assert.deepEqual(
      proof.findings.map(({ object, code }) => [object.replace(/ in database.*/, ""), code]),
      [
        ['invariant "empty"', "invariant"],
        ['invariant "wrong"', "invariant"],
        ['invariant "no answer"', "invariant"],
        ['invariant "no table"', "invariant"],
      ],
    );
    assert.match(proof.findings[0]?.message ?? "", /returned 1 rows, the first \{"id":7\}/);
    assert.match(proof.findings[3]?.message ?? "", /"customers" does not exist/);
  });
});
