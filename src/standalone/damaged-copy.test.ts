import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import {
  GOLDEN_COMMITS,
  GOLDEN_DELTA_SEGMENTS,
  GOLDEN_IDENTITY,
  GOLDEN_LATER,
} from "../../test/golden/make-delta-vault.ts";
import { syntheticSegment } from "../../test/golden/synthetic-server.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { formatLsn, lsnAdd, parseLsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { listBackups } from "../vault/backups.ts";
import { NO_STRETCH, wrapDataKey } from "../vault/keys.ts";
import { backupName, keyWrapName } from "../vault/names.ts";
import { initVault, openVault, putBlob, type Vault } from "../vault/vault.ts";
import { putHistory, putSegment } from "../vault/wal-store.ts";

const root = path.resolve(import.meta.dirname, "../..");
const program = path.join(root, "src/standalone/main.ts");
const folder = mkdtempSync(path.join(tmpdir(), "lifeboat-damaged-copy-"));
after(() => rmSync(folder, { recursive: true }));
const RECOVERY_KEY = "XG6H-MBXT-EM85-DF1Q-7XNH-4PCQ-H2BW-VBSD-FB";
const PIN = "# lifeboat-vault 8955fa5a6bbd9696932ceb03fbb52bde b45e3eddad78df3cdf1e99959ff29dce";
const keyFile = path.join(folder, "recovery-key");
writeFileSync(keyFile, `${RECOVERY_KEY}\n`);

const FULL = "20261123t080002z-1208ed02";
const { systemId, walSegmentBytes } = GOLDEN_LATER;
const WAL = path.join("wal", systemId);
const FIRST_HISTORY = "1\t0/200000\tno reason\n";
const [, second = "", third = ""] = GOLDEN_DELTA_SEGMENTS.keys();

let count = 0;

/** A copy of the golden vault: a full backup and a delta on timeline 2, with three segments of WAL from the full one on. */
async function copy(): Promise<{ readonly at: string; readonly vault: Vault }> {
  count += 1;
  const at = path.join(folder, `vault-${count}`);
  cpSync(path.join(root, "test/golden/vault-1-delta"), at, { recursive: true });
  const store = await openDiskStore({ folder: at, files: systemFiles, random: systemRandom });
  const tools = { store, clock: systemClock, random: systemRandom };
  return { at, vault: await openVault(tools, { kind: "recovery-key", recoveryKey: RECOVERY_KEY }, {}) };
}

function run(vault: string, ...args: readonly string[]) {
  return spawnSync(process.execPath, [program, "--vault", vault, ...args], { encoding: "utf8", input: "" });
}

/** A restore that has to end well, or one that has to be refused. */
function restore(vault: string, ...args: readonly string[]) {
  count += 1;
  const target = path.join(folder, `target-${count}`);
  const { status, stderr } = run(vault, "--target", target, "--recovery-key-file", keyFile, ...args);
  return { target, status, said: stderr };
}

function restored(...args: Parameters<typeof restore>) {
  const done = restore(...args);
  assert.equal(done.status, 0, done.said);
  const settings = readFileSync(path.join(done.target, "postgresql.auto.conf"), "utf8");
  const laid = readdirSync(path.join(done.target, "pg_wal")).filter((name) => name.length === 24);
  return { ...done, laid, timeline: /^recovery_target_timeline = '(\d+)'$/m.exec(settings)?.[1] };
}

/** WAL of a timeline that begins in the segment of this position. */
async function putSegmentOf(vault: Vault, timeline: number, lsn: string): Promise<void> {
  const at = { systemId, timeline: timeline as Timeline, walSegmentBytes };
  const start = parseLsn(lsn);
  await putSegment(
    vault,
    { ...at, segment: segmentName({ ...at, lsn: start }), bytes: syntheticSegment({ ...at, start }) },
    {},
  );
}

async function putHistoryOf(vault: Vault, timeline: number, lines: string): Promise<void> {
  await putHistory(
    vault,
    { systemId, timeline: timeline as Timeline, content: Buffer.from(FIRST_HISTORY + lines) },
    {},
  );
}

describe("from a copy of a vault, the restore program of the day", () => {
  test("passes over what is no object of the vault, wherever a desktop, a file server or an editor left it", async () => {
    const { at } = await copy();
    const backup = path.join("backups", systemId, FULL);
    for (const name of [
      "backups/.DS_Store",
      `backups/._${systemId}`,
      `backups/${systemId}/Thumbs.db`,
      `${backup}/proof-20261123t080009z-1208ed02.bak`,
      `${WAL}/.DS_Store`,
      `${WAL}/history/.DS_Store`,
      `${WAL}/history/0000000a.bak`,
      `${WAL}/00000002/._${second.toLowerCase()}`,
      "keys/.DS_Store",
    ]) {
      writeFileSync(path.join(at, name), "no object");
    }
    const { status, stdout, stderr } = run(at, "--list", "--recovery-key-file", keyFile);
    assert.deepEqual([status, stdout.match(/proof: none/g)?.length, stderr], [0, 2, ""]);
    assert.doesNotMatch(restored(at).said, /missing|LEFT OUT/);
  });

  test("opens a vault without encryption beside a stray file and a damaged wrap", async () => {
    const at = path.join(folder, "open");
    const store = await openDiskStore({ folder: at, files: systemFiles, random: systemRandom });
    await initVault({ store, clock: systemClock, random: systemRandom }, { kind: "open" }, {});
    const [key = ""] = readdirSync(path.join(at, "keys"));
    writeFileSync(path.join(at, "keys/.DS_Store"), "no wrap");
    writeFileSync(path.join(at, "keys", key, "0123456789abcdef.json"), "{");
    const { status, stderr } = run(at, "--list");
    assert.deepEqual([status, stderr], [0, ""]);
    mkdirSync(path.join(at, "keys", "0".repeat(32)));
    const wrap = { version: 1, keyId: "0".repeat(32), method: { kind: "passphrase" } };
    writeFileSync(path.join(at, "keys", "0".repeat(32), "0123456789abcdef.json"), JSON.stringify(wrap));
    assert.match(run(at, "--list").stderr, /^The passphrase/);
  });

  test("opens what it can beside a wrap that cannot be read, an identity of another kind and without the marker", async () => {
    const { at, vault } = await copy();
    const wrap = path.join(at, "keys", vault.dataKey.id, "0123456789abcdef.json");
    symlinkSync(wrap, wrap);
    rmSync(path.join(at, "vault.json"));
    const identity = path.join(folder, "identity");
    writeFileSync(identity, `AGE-SECRET-KEY-PQ-1QQQ\n${GOLDEN_IDENTITY}\n${PIN}\n`);
    assert.match(
      run(at, "--list", "--identity-file", identity).stderr,
      /has lost its vault\.json: copy it .* --vault-id$/m,
    );
    const { status, stderr } = run(at, "--list", "--identity-file", identity, "--vault-id", vault.id);
    assert.deepEqual([status, stderr.match(/^Passed over: /gm)?.length], [0, 2], stderr);
    writeFileSync(identity, "AGE-SECRET-KEY-PQ-1QQQ\n");
    assert.match(run(at, "--list", "--identity-file", identity, "--vault-id", vault.id).stderr, /no age identity/);
  });

  test("takes the vault's id from the copy of the marker where that is lost, damaged or another one", async () => {
    const { at } = await copy();
    const marker = path.join(at, "vault.json");
    const sound = readFileSync(marker, "utf8");
    const listed = () => run(at, "--list", "--recovery-key-file", keyFile);
    mkdirSync(path.join(at, "notes"), { recursive: true });
    writeFileSync(path.join(at, "notes/vault"), sound);
    rmSync(marker);
    assert.equal(listed().status, 0);
    for (const [text, said] of [
      [sound.slice(0, 40), /^Passed over: vault\.json/],
      [sound.replace("8955", "8954"), /^$/],
    ] as const) {
      assert.notEqual(text, sound);
      writeFileSync(marker, text);
      const { status, stderr } = listed();
      assert.equal(status, 0, stderr);
      assert.match(stderr, said);
    }
    writeFileSync(marker, sound.replace('"version": 1', '"version": 2'));
    assert.match(listed().stderr, /is of version 2, this program reads version 1/);
  });

  test("goes by a history that does not open where the timeline that is followed does not need it", async () => {
    const { at, vault } = await copy();
    await putHistoryOf(vault, 3, "2\t0/580000\tno reason\n");
    const history = path.join(at, WAL, "history/00000003");
    writeFileSync(history, readFileSync(history).fill(0, 60));
    const refused = restore(at);
    assert.deepEqual([refused.status, existsSync(refused.target)], [1, false]);
    assert.match(
      refused.said,
      /history\/00000003 is missing or damaged.* name the --timeline to follow: 2 is that of backup/,
    );
    const { target, timeline } = restored(at, "--timeline", "2");
    assert.equal(timeline, "2");
    assert.match(readFileSync(path.join(target, "pg_wal/00000003.history"), "utf8"), /^# .* name is kept/);
    assert.match(restore(at, "--timeline", "3").said, /history\/00000003 is missing or damaged/);
    assert.match(restore(at, "--timeline", "4").said, /timeline 4 did not grow out of backup/);
  });

  test("says what is left out where the history of a newer timeline is lost, and takes it from pg_wal", async () => {
    const { at, vault } = await copy();
    await putSegmentOf(vault, 3, "0/500000");
    await putSegmentOf(vault, 3, "0/600000");
    const lost = restored(at);
    assert.equal(lost.timeline, "2");
    const told = lost.said.match(/WAL of timeline 3 is in this copy, 0\/500000 to 0\/700000, and its history is not/g);
    // Before hours of copying, and at the end.
    assert.equal(told?.length, 2, lost.said);
    const history = path.join(folder, "00000003.history");
    // What a restore of before laid in its place, and a receiver or an operator took for it.
    const comment = "# lifeboat: the history of this timeline does not open in the vault\n";
    await putHistory(vault, { systemId, timeline: 3 as Timeline, content: Buffer.from(comment) }, {});
    assert.match(restored(at).said, /LEFT OUT/);
    writeFileSync(history, comment);
    assert.match(restore(at, "--history", history).said, /names no timeline before its own/);
    writeFileSync(history, `${FIRST_HISTORY}2\t0/580000\tno reason\n`);
    const followed = restored(at, "--history", history);
    assert.deepEqual([followed.timeline, /LEFT OUT/.test(followed.said)], ["3", false], followed.said);
    assert.match(restore(at, "--history", keyFile).said, /has not the name of a history/);
    // A later timeline's history says from where it grew, and nothing of what lies behind the place where it left it.
    await putHistoryOf(vault, 4, "2\t0/580000\tno reason\n3\t0/700000\tno reason\n");
    const later = restored(at);
    assert.deepEqual([later.timeline, /LEFT OUT/.test(later.said)], ["4", false], later.said);
    await putSegmentOf(vault, 3, "0/700000");
    assert.match(restored(at).said, /timeline 3 .*, 0\/700000 to 0\/800000, behind the place .* with --timeline 3\.$/m);
    const own = restored(at, "--history", history, "--timeline", "3");
    assert.deepEqual([own.timeline, /LEFT OUT/.test(own.said)], ["3", false], own.said);
  });

  test("lays the backup's own history from its manifest", async () => {
    const { at } = await copy();
    rmSync(path.join(at, WAL, "history/00000002"));
    const { target, timeline } = restored(at);
    assert.equal(timeline, "2");
    assert.match(readFileSync(path.join(target, "pg_wal/00000002.history"), "utf8"), /^1\t0\/200000/);
  });

  test("takes the part of a segment that counts where the newer timeline's is not there yet, and tells a hole on any of them", async () => {
    const { at, vault } = await copy();
    await putHistoryOf(vault, 3, "2\t0/4F0000\tno reason\n");
    const begun = restored(at);
    assert.deepEqual([begun.timeline, begun.laid], ["3", [second]]);
    assert.match(begun.said, /up to 0\/4F0000\.$/m);
    assert.doesNotMatch(begun.said, /is missing/);
    const expected = Buffer.from(GOLDEN_DELTA_SEGMENTS.get(second) ?? "").fill(0, 0xf_0000);
    assert.ok(readFileSync(path.join(begun.target, "pg_wal", second)).equals(expected));
    await putSegmentOf(vault, 3, "0/500000");
    assert.match(restored(at).said, /^WAL is missing behind 0\/4F0000: this is not the newest point/m);
    const holed = await copy();
    await putHistoryOf(holed.vault, 3, "2\t0/580000\tno reason\n");
    rmSync(path.join(holed.at, WAL, "00000002", second.toLowerCase()));
    const { said, timeline } = restored(holed.at, "--backup", FULL);
    assert.equal(timeline, "3");
    assert.match(said, /^WAL is missing behind 0\/400000: /m);
    assert.match(restore(holed.at).said, new RegExp(`consistent is missing: ${second} is not there`));
  });

  test("names the last position before a segment that does not open, and restores that", async () => {
    const { at } = await copy();
    const damaged = path.join(at, WAL, "00000002", third.toLowerCase());
    const bytes = readFileSync(damaged);
    bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
    writeFileSync(damaged, bytes);
    const { status, said, target } = restore(at);
    const position = /The last position before it is (0\/4[0-9A-F]+): remove what was made here/.exec(said)?.[1];
    assert.deepEqual(
      [status, existsSync(path.join(target, "global")), position === undefined],
      [1, false, false],
      said,
    );
    assert.match(run(at, "--target", target, "--recovery-key-file", keyFile).stderr, /cut short, remove it/);
    assert.deepEqual(restored(at, "--until-lsn", position ?? "").laid, [second]);
    const last = GOLDEN_COMMITS.get(107)?.lsn ?? assert.fail();
    assert.equal(restore(at, "--until-lsn", formatLsn(lsnAdd(last, 1n))).status, 1);
  });

  test("tells systems apart, and takes none of several unasked", async () => {
    const { at, vault } = await copy();
    const [record = assert.fail()] = (await listBackups(vault, {}, {})).backups;
    const other = { ...record, systemId: "7441234567890123999" as SystemId };
    await putBlob(vault, { name: backupName(other, "announced"), plain: Buffer.from(JSON.stringify(other)) }, {});
    const listed = run(at, "--list", "--recovery-key-file", keyFile).stdout;
    for (const each of [systemId, other.systemId]) assert.match(listed, new RegExp(`system ${each} `));
    const { status, said } = restore(at);
    assert.deepEqual([status, said.includes(`${systemId}, ${other.systemId}`)], [1, true], said);
    assert.match(restored(at, "--system", systemId).said, new RegExp(`of system ${systemId} into`));
  });
});

test("a passphrase that was saved with an editor's mark opens as it is typed, and the other way round", async () => {
  const at = path.join(folder, "marked");
  const store = await openDiskStore({ folder: at, files: systemFiles, random: systemRandom });
  const tools = { store, clock: systemClock, random: systemRandom, stretchCost: NO_STRETCH };
  const { vault } = await initVault(tools, { kind: "passphrase", passphrase: "typed" }, {});
  // As an earlier version took it.
  const secret = { kind: "passphrase", passphrase: "\uFEFFmarked" } as const;
  const held = { vaultId: vault.id, dataKey: vault.dataKey, secret, now: systemClock.now(), stretchCost: NO_STRETCH };
  const wrap = await wrapDataKey(held, systemRandom);
  await store.put(keyWrapName({ keyId: vault.dataKey.id, wrapId: "0".repeat(16) }), [wrap]);
  for (const given of ["marked", "\uFEFFtyped"]) {
    const file = path.join(folder, "passphrase");
    writeFileSync(file, `${given}\r\n`);
    const { status, stderr } = run(at, "--list", "--passphrase-file", file);
    assert.equal(status, 0, stderr);
  }
});
