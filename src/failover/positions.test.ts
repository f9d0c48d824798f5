import assert from "node:assert/strict";
import { test } from "node:test";
import { observe, primaryAnswer, standbyAnswer } from "../../test/support/failover-views.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { positionsOf } from "./positions.ts";

test("of a party that is gone the last position is kept, with its age; one that was never seen is left out", () => {
  const seen = observe([
    { atMs: 0, a: primaryAnswer({ flushed: 2_000n as Lsn }), b: standbyAnswer({ replayed: 900n as Lsn }) },
    { atMs: 500, a: { kind: "silent" }, b: standbyAnswer({ flushed: 1_900n as Lsn }), witness: null },
  ]);
  const timeline = 3 as Timeline;
  assert.deepEqual(positionsOf(seen), [
    { of: "a", timeline, flushed: 2_000n, whole: undefined, seenAgoMs: 500 },
    { of: "b", timeline, flushed: 1_900n, whole: 1_000n, seenAgoMs: 0 },
    { of: "receiver", timeline, flushed: 1_000n, whole: 1_000n, seenAgoMs: 500 },
  ]);
  const blind = observe([{ atMs: 0, a: { kind: "silent" }, b: { kind: "silent" }, witness: null }]);
  assert.deepEqual(positionsOf(blind), []);
});
