import assert from "node:assert/strict";
import { test } from "node:test";
import { storeSegment, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { parseHistory } from "./history.ts";
import { checkAgainstSpool, checkAgainstVault, type ServerFacts } from "./identity.ts";
import { parseSegmentSize } from "./segment-size.ts";
import type { SpoolState } from "./spool-state.ts";

const MIB = 1024 * 1024;

function server(timeline: number, historyText = ""): ServerFacts {
  const of = timeline as Timeline;
  return {
    systemId: "7000000000000000001" as SystemId,
    timeline: of,
    flushedLsn: 0n as Lsn,
    walSegmentBytes: MIB,
    historyText,
    history: timeline === 1 ? [] : parseHistory(of, Buffer.from(historyText)),
  };
}

function spool(timeline: number, history = "", more: Partial<SpoolState> = {}): SpoolState {
  return {
    vaultId: "v",
    systemId: "7000000000000000001" as SystemId,
    walSegmentBytes: MIB,
    timeline: timeline as Timeline,
    history,
    slot: "s",
    flushedLsn: 0n as Lsn,
    rangeFrom: undefined,
    gaps: [],
    ...more,
  };
}

function refused(found: ServerFacts, state: SpoolState, code: ErrorCode): void {
  assert.throws(
    () => checkAgainstSpool(found, state),
    (error) => isLifeboatError(error, code),
  );
}

test("the same system, timeline and history is the server we know", () => {
  checkAgainstSpool(server(1), spool(1));
  checkAgainstSpool(server(2, "1\t0/300\tx\n"), spool(2, "1\t0/300\ty\n"));
});

test("a descendant of the timeline we know is followed", () => {
  checkAgainstSpool(server(2, "1\t0/300\tx\n"), spool(1));
  checkAgainstSpool(server(3, "1\t0/300\tx\n2\t0/400\tx\n"), spool(2, "1\t0/300\tx\n"));
});

test("a later timeline that branched off before the one we know is followed", () => {
  checkAgainstSpool(server(3, "1\t0/200\tx\n"), spool(2, "1\t0/300\tx\n"));
});

test("another system or segment size is refused", () => {
  refused(server(1), spool(1, "", { systemId: "7000000000000000002" as SystemId }), "wal.foreign-system");
  refused(server(1), spool(1, "", { walSegmentBytes: 2 * MIB }), "wal.foreign-system");
});

test("a vault that holds this system with segments of another size is refused, and what to do is said", async () => {
  const vault = await createTestVault();
  const { systemId, timeline } = server(1);
  const check = (walSegmentBytes: number): Promise<void> =>
    checkAgainstVault({ ...server(1), walSegmentBytes }, vault, { newSystem: true });
  const refusal = (error: unknown): boolean =>
    isLifeboatError(error, "wal.foreign-system") && error.remedy.includes("a vault of their own");
  await storeSegment(vault, { systemId, timeline, number: 3 });
  await check(16 * MIB);
  await storeSegment(vault, { systemId, timeline, number: 0x200 });
  await check(MIB);
  await assert.rejects(check(16 * MIB), refusal, "no segment of 16 MiB has such a name");

  await storeSyntheticBackup(vault, { systemId, segment: 3 });
  await check(MIB);
  await assert.rejects(check(MIB / 2), refusal, "every name is one of theirs too");
  assert.throws(() => checkAgainstSpool(server(1), spool(1, "", { walSegmentBytes: 2 * MIB })), refusal);
});

test("an older timeline is an old primary come back, and refused", () => {
  refused(server(1), spool(2, "1\t0/300\tx\n"), "wal.timeline-behind");
});

test("the same timeline number with another history is another lineage, and refused", () => {
  refused(server(2, "1\t0/200\tx\n"), spool(2, "1\t0/300\tx\n"), "wal.foreign-lineage");
  refused(server(3, "1\t0/200\tx\n2\t0/400\tx\n"), spool(2, "1\t0/300\tx\n"), "wal.foreign-lineage");
});

test("the segment size is read as SHOW prints it", () => {
  assert.equal(parseSegmentSize("16MB"), 16 * MIB);
  assert.equal(parseSegmentSize("1GB"), 1024 * MIB);
  for (const text of ["", "16", "3MB", "2GB", "16 MB"]) {
    assert.throws(
      () => parseSegmentSize(text),
      (error) => isLifeboatError(error, "postgres.protocol"),
      text,
    );
  }
});
