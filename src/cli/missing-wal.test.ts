import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { pointsJson, renderPoints } from "./points.ts";
import { createStyle } from "./style.ts";
import { isVaultWhole, renderVaultReport, vaultReportJson } from "./vault.ts";

const style = createStyle({ colours: false, columns: 200 });
const place = { systemId: "7" as SystemId, timeline: 2 as Timeline, from: 0x500000n as Lsn, to: 0x700000n as Lsn };
const gap = { ...place, firstSegment: "000000020000000000000005", segmentCount: 2 };
const report = {
  ...{ backups: [], findings: [], lacking: [], unfinished: [], unreferencedPacks: [] },
  ...{ walSegmentCount: 3, readBytes: 0, gaps: [gap] },
};

test("a vault that lacks WAL between its backups is not said to be whole, and is not damaged", () => {
  const text = renderVaultReport(report, style);
  assert.doesNotMatch(text, /vault is whole|damaged/);
  assert.match(
    text,
    /^WAL between the backups is missing: .*\n\n.*\n.*0\/500000 to 0\/700000 .*000000020000000000000005/m,
  );
  assert.deepEqual([isVaultWhole(report), vaultReportJson(report).whole], [true, false]);
  assert.match(renderVaultReport({ ...report, gaps: [] }, style), /^The vault is whole\./);
});

test("a vault that merely lacks what the next backup stores is whole, and it is told what", () => {
  const lacking = { ...report, gaps: [], lacking: ["notes/vault", "programs/restore-10.ts"] };
  assert.deepEqual([isVaultWhole(lacking), vaultReportJson(lacking).whole], [true, true]);
  assert.match(
    renderVaultReport(lacking, style),
    /^The vault is whole\.\n\n.*lacks notes\/vault and programs\/restore-10\.ts: the next backup/,
  );
});

test("points name the history that is lost, and what cannot be restored without it", () => {
  const points = { ranges: [], gaps: [], untold: [place], leftBehind: [], stranded: [] };
  const said = renderPoints(points, style);
  assert.match(
    said,
    /WAL of timeline 2 is held, 0\/500000 to 0\/700000, and wal\/7\/history\/00000002 is lost.*vault repair/,
  );
  assert.deepEqual(pointsJson(points).untold, [place]);
});
