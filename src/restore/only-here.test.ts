import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { systemFiles as files } from "../platform/files.ts";
import type { ControlFile } from "../postgres/control-file.ts";
import { historyName, parseLsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { TimelineHistory } from "../wal/history.ts";
import type { WalHoldings } from "../wal/ranges.ts";
import { describeOnlyHere, findOnlyHere, isOnlyCopy, type OnlyHere } from "./only-here.ts";

const MIB = 1024 * 1024;
const COMMIT = { rmgr: 1, info: 0, xid: 1, mainData: Buffer.alloc(8) };

/** What the folder has: pages up to `redo`, and by `commitsAt` a segment of its timeline with two commits. */
type Folder = { timeline: number; redo: string; commitsAt?: string; from?: string };

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

async function find(
  folder: string,
  { timeline, redo }: Folder,
  vault: Pick<WalHoldings, "segments"> & { from2?: string },
): Promise<OnlyHere | undefined> {
  const lsn = parseLsn(redo);
  const systemId = "7000000000000000001" as SystemId;
  const control: Partial<ControlFile> = { systemId, walSegmentBytes: MIB };
  const checkpoint = { timeline, lsn, redoLsn: lsn };
  const histories = new Map(vault.from2 === undefined ? [] : [[2 as Timeline, historyOf(vault.from2)]]);
  const holdings = { systemId, walSegmentBytes: MIB, segments: vault.segments, tails: [], histories };
  const place = { folder, walFolder: undefined, control: { ...control, checkpoint } as ControlFile };
  return await findOnlyHere(files, place, holdings, {});
}

async function laidAndFound(own: Folder, vault: Parameters<typeof find>[2]): Promise<OnlyHere | undefined> {
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

test("only commits of the newest timeline that the vault holds, which a start there could bring into it, are ground to refuse", async () => {
  const own = { timeline: 1, redo: "0/2000000", commitsAt: "0/2100000" };
  const to = parseLsn("0/2100000");
  assert.deepEqual(told(await laidAndFound(own, { segments: [OLD] })), ["newest", to, 2, true]);
  const second = { ...own, timeline: 2, from: "0/1800000" };
  const held = ["000000020000000000000020"];
  assert.deepEqual(told(await laidAndFound(second, { segments: held, from2: "0/1800000" })), ["newest", to, 2, true]);
  // Nobody can compare.
  assert.deepEqual(told(await laidAndFound(second, { segments: held })), ["unknown", to, 2, false]);
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
