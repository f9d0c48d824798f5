import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles as files } from "../platform/files.ts";
import type { ControlFile } from "../postgres/control-file.ts";
import {
  formatLsn,
  historyName,
  lsnAdd,
  parseLsn,
  parseSegmentName,
  type SystemId,
  segmentName,
  type Timeline,
} from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import type { TimelineHistory } from "../wal/history.ts";
import type { WalHoldings } from "../wal/ranges.ts";
import {
  describeOnlyHere,
  findOnlyHere,
  isOnlyCopy,
  type OnlyHere,
  onlyHistories,
  refuseOnlyHere,
} from "./only-here.ts";

const MIB = 1024 * 1024;
const SYSTEM = "7000000000000000001" as SystemId;
const COMMIT = { rmgr: 1, info: 0, xid: 1, mainData: Buffer.alloc(8) };

/** What the folder has: pages up to `redo`, and by `commitsAt` a segment of its timeline with two commits. */
type Folder = { timeline: number; redo: string; commitsAt?: string; from?: string };

/** What the vault has: a backup begins with the first of its segments, and with those of these names. */
type Vault = { segments: readonly string[]; from2?: string; backups?: readonly string[] };

function historyOf(switches: string | undefined): TimelineHistory {
  return switches === undefined ? [] : [{ timeline: 1 as Timeline, switchLsn: parseLsn(switches) }];
}

async function lay(folder: string, { timeline, commitsAt, from }: Folder): Promise<void> {
  const wal = path.join(folder, "pg_wal");
  await files.makeFolder(wal);
  if (from !== undefined) await writeFile(path.join(wal, historyName(timeline as Timeline)), `1\t${from}\twhy\n`);
  if (commitsAt === undefined) return;
  const lsn = parseLsn(commitsAt);
  const { bytes } = writeSyntheticWal({ start: lsn, walSegmentBytes: MIB, timeline }, [COMMIT, COMMIT]);
  await writeFile(path.join(wal, segmentName({ timeline: timeline as Timeline, lsn, walSegmentBytes: MIB })), bytes);
}

function backupOf(segment: string): BackupRecord {
  const { timeline, start } = parseSegmentName(segment, MIB) ?? assert.fail();
  const [startLsn, endLsn] = [formatLsn(start), formatLsn(lsnAdd(start, 4096))];
  return { backupId: segment as BackupId, timeline, startLsn, endLsn } as BackupRecord;
}

function heldIn({ segments, from2, backups = [] }: Vault) {
  const histories = new Map(from2 === undefined ? [] : [[2 as Timeline, historyOf(from2)]]);
  const holdings: WalHoldings = { systemId: SYSTEM, walSegmentBytes: MIB, segments, tails: [], histories };
  return { holdings, backups: [...segments.slice(0, 1), ...backups].map(backupOf) };
}

async function find(folder: string, { timeline, redo }: Folder, vault: Vault): Promise<OnlyHere | undefined> {
  const lsn = parseLsn(redo);
  const control: Partial<ControlFile> = { systemId: SYSTEM, walSegmentBytes: MIB };
  const checkpoint = { timeline, lsn, redoLsn: lsn };
  const place = { folder, walFolder: undefined, control: { ...control, checkpoint } as ControlFile };
  return await findOnlyHere(files, place, heldIn(vault), {});
}

async function laidAndFound(own: Folder, vault: Vault): Promise<OnlyHere | undefined> {
  let found: OnlyHere | undefined;
  await withFolder(async (folder) => {
    await lay(folder, own);
    found = await find(folder, own, vault);
  });
  return found;
}

const told = (found: OnlyHere | undefined) =>
  found?.kind !== "found" ? found?.kind : [found.standing.kind, found.heldTo, found.commits?.count, isOnlyCopy(found)];
const OLD = "000000010000000000000020";
/** The one of timeline 2 with the same positions. */
const SECOND = "000000020000000000000020";

test("only commits of the newest timeline that the vault holds, which a start there could bring into it, are ground to refuse", async () => {
  const own = { timeline: 1, redo: "0/2000000", commitsAt: "0/2100000" };
  const to = parseLsn("0/2100000");
  assert.deepEqual(told(await laidAndFound(own, { segments: [OLD] })), ["newest", to, 2, true]);
  const second = { ...own, timeline: 2, from: "0/1800000" };
  const held = { segments: [SECOND], from2: "0/1800000" };
  assert.deepEqual(told(await laidAndFound(second, held)), ["newest", to, 2, true]);
  // Nobody can compare.
  const { from: _from, ...untold } = second;
  assert.deepEqual(told(await laidAndFound(untold, held)), ["unknown", to, 2, false]);
});

test("what was committed in a hole of the vault's WAL, or behind it, is in the folder alone until a backup begins behind the hole", async () => {
  const own = { timeline: 1, redo: "0/2000000", commitsAt: "0/2100000" };
  const behind = ["000000010000000000000022", "000000010000000000000023"];
  const segments = [OLD, ...behind];
  assert.deepEqual(told(await laidAndFound(own, { segments })), ["newest", parseLsn("0/2100000"), 2, true]);
  assert.equal(await laidAndFound(own, { segments, backups: behind.slice(0, 1) }), undefined);
});

test("a folder whose WAL does not go back to what the vault holds is ground to refuse where a server could start on it", async () => {
  const own = { timeline: 1, redo: "0/2300000", commitsAt: "0/2300000" };
  const to = parseLsn("0/2100000");
  assert.deepEqual(told(await laidAndFound(own, { segments: [OLD] })), ["newest", to, undefined, true]);
  const { commitsAt: _commitsAt, ...lost } = own;
  assert.deepEqual(told(await laidAndFound(lost, { segments: [OLD] })), ["newest", to, undefined, false]);
});

test("a folder that alone has the history of a timeline of the vault's is ground to refuse, and the history is told of, until the vault has it", async () => {
  await withFolder(async (folder) => {
    const own = { timeline: 2, redo: "0/2000000", commitsAt: "0/2000000", from: "0/2000000" };
    await lay(folder, own);
    const vault = { segments: ["00000001000000000000001F", SECOND] };
    const found = await find(folder, own, vault);
    assert.deepEqual(told(found), ["history-lost", parseLsn("0/2000000"), 2, true]);
    assert.ok(found?.kind === "found");
    const file = path.join(folder, "pg_wal/00000002.history");
    assert.throws(
      () => refuseOnlyHere(folder, found),
      (error) => isLifeboatError(error, "restore.only-copy") && error.remedy.includes(`vault repair --history ${file}`),
    );
    assert.deepEqual(await onlyHistories(files, { folder, walFolder: undefined }, heldIn(vault).holdings), [file]);
    const mended = { ...vault, from2: "0/2000000" };
    assert.equal(await find(folder, own, mended), undefined);
    assert.deepEqual(await onlyHistories(files, { folder, walFolder: undefined }, heldIn(mended).holdings), []);
    // A restore left its name so that no server takes it.
    await writeFile(file, "# a comment\n");
    assert.deepEqual(await onlyHistories(files, { folder, walFolder: undefined }, heldIn(vault).holdings), []);
  });
});

test("commits of a primary that was replaced are told of, and never with the word to start it", async () => {
  const own = { timeline: 1, redo: "0/2000000", commitsAt: "0/2100000" };
  const found = await laidAndFound(own, { segments: [OLD, "000000020000000000000021"], from2: "0/2100000" });
  assert.deepEqual(told(found), ["left", parseLsn("0/2100000"), 2, false]);
  assert.ok(found !== undefined);
  const words = describeOnlyHere("/srv/old", found);
  assert.match(words, /2 commits behind that .* would be lost\. The vault goes on with timeline 2: copy the folder/);
  assert.doesNotMatch(words, /\bstart/i);
});

test("a restored copy that was started has a timeline of its own, and what it wrote is told of", async () => {
  const own = { timeline: 2, redo: "0/2100000", commitsAt: "0/2100000", from: "0/2100000" };
  assert.deepEqual(told(await laidAndFound(own, { segments: [OLD] })), ["unknown", parseLsn("0/2100000"), 2, false]);
});

test("what was committed before the vault's lineage left the folder's timeline is held, though WAL of that was pruned", async () => {
  const vault = { segments: ["000000020000000000000064"], from2: "0/3200000" };
  assert.equal(await laidAndFound({ timeline: 1, redo: "0/2800000" }, vault), undefined);
  const beyond = await laidAndFound({ timeline: 1, redo: "0/3300000" }, vault);
  assert.deepEqual(told(beyond), ["left", parseLsn("0/3200000"), undefined, false]);
});

test("another branch of the same number is held up to where the two part", async () => {
  const own = { timeline: 2, redo: "0/5800000", from: "0/2000000" };
  const found = await laidAndFound(own, { segments: ["000000020000000000000065"], from2: "0/3000000" });
  assert.deepEqual(told(found), ["parted", parseLsn("0/2000000"), undefined, false]);
});

test("a pg_wal that is lost, a damaged history and a segment that does not read end no restore in place: what the folder has is not told", async () => {
  await withFolder(async (folder) => {
    const own = { timeline: 1, redo: "0/2000000" };
    const gone = await find(folder, own, { segments: [OLD] });
    assert.equal(told(gone), "untold");
    assert.ok(gone !== undefined && !isOnlyCopy(gone));
    assert.match(describeOnlyHere(folder, gone), /could not be told: .*pg_wal is not there$/);
    const ahead = await find(folder, { ...own, redo: "0/2200000" }, { segments: [OLD] });
    assert.deepEqual(told(ahead), ["newest", parseLsn("0/2100000"), undefined, false]);
    await lay(folder, own);
    await files.makeFolder(path.join(folder, "pg_wal", "000000010000000000000021"));
    assert.equal(told(await find(folder, own, { segments: [OLD] })), "untold");
    await writeFile(path.join(folder, "pg_wal", "00000002.history"), "");
    assert.equal(told(await find(folder, { ...own, timeline: 2 }, { segments: [OLD] })), "untold");
  });
});
