import assert from "node:assert/strict";
import { test } from "node:test";
import { restoreTools } from "../../test/support/backups.ts";
import { takeSmallBackup } from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { formatLsn, lsnAdd, parseLsn, segmentName } from "../postgres/lsn.ts";
import { type MovedFound, movedUnder } from "./moved-databases.ts";
import { type PricedPlan, prepareRestore } from "./restore.ts";
import type { RestoreWal } from "./restore-wal.ts";

const MIB = 1024 * 1024;
const vault = await createTestVault();
const backup = await takeSmallBackup(vault);
const tools = restoreTools(vault, backup);

/** WAL that counts what is fetched of it. */
function counted({ holdings, history, segment }: RestoreWal): { readonly wal: RestoreWal; readonly fetched: string[] } {
  const fetched: string[] = [];
  const wal: RestoreWal = {
    holdings: (options) => holdings.call(tools.wal, options),
    history: (...asked) => history.call(tools.wal, ...asked),
    segment: (name, options) => {
      fetched.push(name);
      return segment.call(tools.wal, name, options);
    },
  };
  return { wal, fetched };
}

async function planned(
  found?: MovedFound,
): Promise<{ readonly plan: PricedPlan; readonly fetched: readonly string[] }> {
  const { wal, fetched } = counted(tools.wal);
  const wanted = { systemId: backup.systemId, target: { kind: "latest" }, acceptGap: false } as const;
  return { plan: await prepareRestore({ ...tools, wal, found }, wanted, {}), fetched };
}

test("the WAL of a backup is asked up to a GiB, whatever a segment has", async () => {
  const { plan } = await planned();
  const asks = async (walSegmentBytes: number, bytes: number): Promise<boolean> => {
    const { wal, fetched } = counted(tools.wal);
    const startLsn = parseLsn("4/0");
    const long = {
      ...plan.backup,
      walSegmentBytes,
      startLsn: formatLsn(startLsn),
      endLsn: formatLsn(lsnAdd(startLsn, bytes)),
    };
    // Planned, and not there: that it was asked for is enough.
    const first = segmentName({ timeline: plan.timeline, lsn: startLsn, walSegmentBytes });
    const segments = [{ name: first, start: startLsn, validBytes: walSegmentBytes }];
    const asked = { ...plan, backup: long, walSegmentBytes, segments };
    await movedUnder({ wal, proofs: plan.proofs }, asked, {});
    return fetched.length > 0;
  };
  assert.deepEqual([await asks(64 * MIB, 1025 * MIB), await asks(MIB, 1025 * MIB)], [false, false]);
  assert.deepEqual([await asks(64 * MIB, 1024 * MIB), await asks(MIB, 1024 * MIB)], [true, true]);
});

test("who plans again asks the WAL of a backup once, when all of its last segment was there", async () => {
  const once = (await planned()).fetched.length;
  assert.ok(once > 0);
  const found: MovedFound = new Map();
  const first = await planned(found);
  const again = await planned(found);
  assert.deepEqual([first.fetched.length, again.fetched.length], [once, 0]);
  const end = parseLsn(backup.endLsn);
  const cut = first.plan.segments.map((each) =>
    each.start < end && lsnAdd(each.start, each.validBytes) >= end
      ? { ...each, validBytes: each.validBytes - 8192 }
      : each,
  );
  const partly: MovedFound = new Map();
  await movedUnder({ wal: tools.wal, proofs: first.plan.proofs, found: partly }, { ...first.plan, segments: cut }, {});
  assert.equal(partly.size, 0, "what is yet to come may tell of its source's drop");
});
