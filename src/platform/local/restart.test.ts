import assert from "node:assert/strict";
import { test } from "node:test";
import { afterEnd, QUICK_ENDS_MAX } from "./restart.ts";

test("a database node is left, however it ended", () => {
  for (const quickEnds of [0, 5]) {
    assert.deepEqual(afterEnd({ restart: "never", ranMs: 1e9, quickEnds }), { kind: "leave", mode: "ended" });
  }
});

test("a program that ends at once is started ever later, and then no more", () => {
  const delays: number[] = [];
  let quickEnds = 0;
  for (;;) {
    const next = afterEnd({ restart: "on-failure", ranMs: 50, quickEnds });
    if (next.kind === "leave") {
      assert.equal(next.mode, "gave-up");
      break;
    }
    delays.push(next.delayMs);
    quickEnds = next.quickEnds;
  }
  assert.equal(delays.length, QUICK_ENDS_MAX);
  assert.deepEqual(delays.slice(0, 4), [200, 400, 800, 1600]);
  assert.equal(delays.at(-1), 10_000);
  assert.ok(delays.every((delay, index) => index === 0 || delay >= (delays[index - 1] ?? 0)));
});

test("a program that had run for long is started again at once, however often it ended before", () => {
  const next = afterEnd({ restart: "on-failure", ranMs: 10_000, quickEnds: QUICK_ENDS_MAX });
  assert.deepEqual(next, { kind: "again", delayMs: 0, quickEnds: 0 });
});
