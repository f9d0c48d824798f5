import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemFiles } from "../platform/files.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { putHistory, putSegment } from "../vault/wal-store.ts";
import type { WalSources } from "./get.ts";
import { fetchForServer, type WalGetMode } from "./get-for-server.ts";

const MIB = 1024 * 1024;
const SYSTEM = "7000000000000000001" as SystemId;
const nameOn = (timeline: number, segment: number): string => `0000000${timeline}000000000000000${segment}`;

/** Timeline 1 has segments 4 to 7; 2 left it in the middle of 5, and 3 left 2 in the middle of 6. */
async function place(held: readonly (readonly [number, number])[], third = "680000"): Promise<WalSources> {
  const vault = await createTestVault();
  const one = [4, 5, 6, 7].map((segment) => [1, segment] as const);
  for (const [timeline, number] of [...one, ...held]) {
    const segment = nameOn(timeline, number);
    await putSegment(vault, { systemId: SYSTEM, segment, bytes: Buffer.alloc(MIB, timeline) }, {});
  }
  const histories = ["1\t0/580000\tno recovery target specified\n"];
  histories.push(`${histories[0]}2\t0/${third}\tno recovery target specified\n`);
  for (const [index, text] of histories.entries()) {
    const history = { systemId: SYSTEM, timeline: (index + 2) as Timeline, content: Buffer.from(text) };
    await putHistory(vault, history, {});
  }
  return { vault, files: systemFiles, systemId: SYSTEM };
}

async function answerOf(sources: WalSources, name: string, mode: WalGetMode): Promise<string> {
  const answer = await fetchForServer(sources, { name, mode }, {});
  return answer.kind === "unknown" ? `${answer.kind}: ${answer.error.code}` : answer.kind;
}

const NOT_HELD = "unknown: wal.switch-not-held";

test("the segment with which a timeline begins is not known while only the older one goes on in it", async () => {
  const sources = await place([]);
  for (const mode of ["restore", "standby"] as const) {
    assert.equal(await answerOf(sources, nameOn(2, 5), mode), NOT_HELD);
    // Behind it there is nothing that a server would take instead.
    for (const segment of [6, 7]) assert.equal(await answerOf(sources, nameOn(2, segment), mode), "absent");
    assert.equal(await answerOf(sources, nameOn(1, 8), mode), "absent");
  }
  const answer = await fetchForServer(sources, { name: nameOn(2, 5), mode: "restore" }, {});
  assert.ok(answer.kind === "unknown");
  assert.match(answer.error.message, /^0{7}20{15}5 is not held, and 0{7}10{15}5 goes on behind/);
});

test("of a timeline that begins by way of others too, each older one is looked at", async () => {
  const sources = await place([[2, 5]]);
  assert.equal(await answerOf(sources, nameOn(3, 5), "restore"), "absent");
  assert.equal(await answerOf(sources, nameOn(3, 6), "restore"), "absent");
  const both = await place([
    [2, 5],
    [2, 6],
  ]);
  assert.equal(await answerOf(both, nameOn(3, 6), "restore"), NOT_HELD);
});

test("a standby, which goes on asking, does not get the older one either until the newer is held", async () => {
  const sources = await place([]);
  assert.equal(await answerOf(sources, nameOn(1, 4), "standby"), "found");
  assert.equal(await answerOf(sources, nameOn(1, 5), "standby"), NOT_HELD);
  assert.equal(await answerOf(await place([[2, 5]]), nameOn(1, 5), "standby"), "found");
});

test("a timeline that began before the one it was to follow needs its own copy of the segment, whoever has an older one", async () => {
  const sources = await place([], "540000");
  assert.equal(await answerOf(sources, nameOn(3, 5), "restore"), NOT_HELD);
  assert.equal(await answerOf(sources, nameOn(1, 5), "standby"), NOT_HELD);
  const older = await place([[2, 5]], "540000");
  assert.equal(await answerOf(older, nameOn(3, 5), "restore"), NOT_HELD);
  for (const timeline of [1, 2]) assert.equal(await answerOf(older, nameOn(timeline, 5), "standby"), NOT_HELD);
  const own = await place(
    [
      [3, 5],
      [2, 5],
    ],
    "540000",
  );
  for (const timeline of [1, 2, 3]) assert.equal(await answerOf(own, nameOn(timeline, 5), "standby"), "found");
});

test("a restore that follows the older timeline gets all of it", async () => {
  const sources = await place([]);
  for (const segment of [4, 5, 6, 7]) assert.equal(await answerOf(sources, nameOn(1, segment), "restore"), "found");
});

test("a segment that is held is given, and what the spool of another machine may have is absent", async () => {
  const sources = await place([
    [2, 5],
    [2, 6],
  ]);
  for (const mode of ["restore", "standby"] as const) {
    assert.equal(await answerOf(sources, nameOn(2, 5), mode), "found");
    assert.equal(await answerOf(sources, nameOn(2, 7), mode), "absent");
    assert.equal(await answerOf(sources, "00000003.history", mode), "found");
    assert.equal(await answerOf(sources, "00000004.history", mode), "absent");
    assert.equal(await answerOf(sources, `${nameOn(2, 5)}.partial`, mode), "absent");
  }
});
