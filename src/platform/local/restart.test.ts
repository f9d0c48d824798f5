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
  const next = afterEnd({ restart: "on-failure", ranMs: 600_000, quickEnds: QUICK_ENDS_MAX });
  assert.deepEqual(next, { kind: "again", delayMs: 0, quickEnds: 0 });
});

test("a program that ends every ten seconds is started at once the first time only, and never given up", () => {
  const delays: number[] = [];
  let quickEnds = 0;
  for (let end = 0; end < 3 * QUICK_ENDS_MAX; end += 1) {
    const next = afterEnd({ restart: "on-failure", ranMs: 10_000, quickEnds });
    assert(next.kind === "again");
    delays.push(next.delayMs);
    quickEnds = next.quickEnds;
  }
  assert.equal(delays[0], 0);
  assert.ok(delays.slice(1).every((delay) => delay === 200));
});

test("a program that comes up after some quick ends is tried as often as before, and not at once", () => {
  const next = afterEnd({ restart: "on-failure", ranMs: 10_000, quickEnds: QUICK_ENDS_MAX });
  assert.deepEqual(next, { kind: "again", delayMs: 200, quickEnds: 1 });
});

test("what another one does the work of is started again like others, but not within two seconds", () => {
  const after = (ranMs: number, quickEnds: number) => afterEnd({ restart: "unhurried", ranMs, quickEnds });
  assert.deepEqual(after(600_000, 3), { kind: "again", delayMs: 2_000, quickEnds: 0 });
  assert.deepEqual(after(50, 4), { kind: "again", delayMs: 3_200, quickEnds: 5 });
  assert.deepEqual(after(50, QUICK_ENDS_MAX), { kind: "leave", mode: "gave-up" });
});
