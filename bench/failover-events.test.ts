import assert from "node:assert/strict";
import { test } from "node:test";
import { rebuildIn } from "./failover-events.ts";

test("the newest rebuild of a node is found in what the controllers said, and one from before is not", () => {
  const text = `2026-11-26T10:00:00.000Z db is made to follow db_replica (delta, 2500 ms); its old data in /x, until it streams
2026-11-26T10:00:05.000Z db streams: its old data is not kept any longer
2026-11-26T11:00:00.000Z db_replica is made to follow db (follow, 12 ms)
2026-11-26T09:00:00.000Z db is made to follow db_replica (restore, 9000 ms)
`;
  const after = (at: string) => ({ node: "db", afterMs: Date.parse(at) });
  assert.deepEqual(rebuildIn(text, after("2026-11-26T08:00:00Z")), { kind: "delta", ms: 2_500 });
  assert.equal(rebuildIn(text, after("2026-11-26T10:30:00Z")), undefined);
});
