import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import type { Session } from "../database/session.ts";
import { WriteNotDone } from "../database/writes.ts";
import { UsageBuffer } from "./usage.ts";

test("what could not be written goes with the next batch, and no query makes a batch that is refused", async () => {
  const clock = new ManualClock();
  const batches: (readonly unknown[])[] = [];
  let fails = true;
  const usage = new UsageBuffer({
    clock,
    writes: {
      run: async (work) => {
        if (fails) throw new WriteNotDone("late");
        const query = async (_text: string, values: readonly unknown[] = []) => {
          batches.push(values);
          return { rows: [] };
        };
        return await work({ query } as unknown as Session);
      },
    },
  });
  usage.start();
  usage.called(7, "searchProducts");
  usage.searched(7, `${"a".repeat(199)}\u{1F600}`, 0);
  usage.searched(7, "a\u0000b", 0);
  await clock.advance(5_000);
  usage.called(7, "searchProducts");
  fails = false;
  await clock.advance(5_000);
  await usage.stop();
  assert.equal(batches.length, 1);
  const [calls, searches] = (batches[0] ?? []).map(
    (each) => JSON.parse(String(each)) as readonly { count: number; query: string }[],
  );
  assert.deepEqual(
    calls?.map(({ count }) => count),
    [2],
  );
  assert.deepEqual(
    searches?.map(({ query }) => query),
    [`${"a".repeat(199)}\u{FFFD}`, "a b"],
  );
  assert.equal(usage.dropped, 0);
});
