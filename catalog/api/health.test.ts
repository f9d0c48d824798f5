import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import type { WayView } from "../database/way.ts";
import { Health } from "./health.ts";

test("an instance is ready while copies may be given, though no database answers", async () => {
  const clock = new ManualClock();
  const main: { view: WayView } = { view: "primary" };
  const health = new Health({ clock, main, other: undefined, redis: undefined, writes: { waiting: 0 } }, "api");
  assert.equal(health.isReady(), true);
  main.view = "silent";
  await clock.advance(590_000);
  assert.equal(health.isReady(), true);
  await clock.advance(20_000);
  assert.equal(health.isReady(), false);
});
