import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { isConflict, isServerGone } from "./gone.ts";
import { RetryBudget } from "./retry-budget.ts";
import { isoTime } from "./row-types.ts";

test("a fifth of recent calls may be repeated, twenty always, and old calls count no more", async () => {
  const clock = new ManualClock();
  const budget = new RetryBudget(clock);
  const takeAll = (): number => {
    let taken = 0;
    while (budget.take()) taken += 1;
    return taken;
  };
  assert.equal(takeAll(), 20);
  for (let call = 0; call < 100; call++) budget.count();
  assert.equal(takeAll(), 20);
  await clock.advance(20_000);
  assert.equal(takeAll(), 20);
});

test("a server that is gone is told from one that refuses", () => {
  const of = (code: string): Error => Object.assign(new Error("x"), { code });
  for (const code of ["57P01", "57P03", "25006", "08006", "08P01", "ECONNRESET", "53300", "28P01"])
    assert.ok(isServerGone(of(code)), code);
  for (const code of ["23505", "42601", "57014"]) assert.ok(!isServerGone(of(code)), code);
  assert.ok(isServerGone(new Error("Connection terminated unexpectedly")));
  assert.ok(isServerGone(new Error("Query read timeout")));
  assert.ok(!isServerGone(new Error("a bug of ours")));
  assert.ok(isConflict(of("40P01")) && !isConflict(of("57P01")));
});

test("times are read as ISO 8601 in UTC, whatever the server's time zone", () => {
  assert.equal(isoTime("2026-04-18 09:30:00.123456+00"), "2026-04-18T09:30:00.123456Z");
  assert.equal(isoTime("2026-04-18 17:30:00+08"), "2026-04-18T09:30:00.000Z");
});
