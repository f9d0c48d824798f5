import assert from "node:assert/strict";
import { test } from "node:test";
import { STOP_DEADLINE_MS } from "../../src/platform/end-on-signal.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { READ_LONGEST_MS } from "../database/reads.ts";
import type { WayView } from "../database/way.ts";
import { writeLongestMs } from "../database/writes.ts";
import { CALL_TIMEOUT_MS } from "../mcp/api-client.ts";
import type { SchemaState } from "../schema/schema-watch.ts";
import { Health } from "./health.ts";
import { STOP_LONGEST_MS } from "./instance.ts";

test("an instance is ready while copies may be given, though no database answers", async () => {
  const clock = new ManualClock();
  const main: { view: WayView } = { view: "primary" };
  const schema: { state: SchemaState; isThere: boolean } = { state: "older", isThere: false };
  const tools = { clock, main, other: undefined, redis: undefined, writes: { waiting: 0 }, schema };
  const health = new Health(tools, "api");
  assert.deepEqual([health.readiness(), health.report().status], ["schema-older", "down"]);
  schema.state = "fits";
  schema.isThere = true;
  assert.equal(health.report().status, "ok");
  assert.equal(health.readiness(), "ready");
  main.view = "silent";
  await clock.advance(590_000);
  assert.equal(health.readiness(), "ready");
  await clock.advance(20_000);
  assert.equal(health.readiness(), "no-database");
  main.view = "primary";
  assert.equal(health.readiness(), "ready");
  // Restored to a time before the last migration.
  schema.state = "older";
  schema.isThere = false;
  assert.equal(health.readiness(), "schema-older");
  health.beginStop();
  assert.equal(health.readiness(), "stopping");
});

test("who calls the API for others waits longer than it may take", () => {
  assert.ok(CALL_TIMEOUT_MS > READ_LONGEST_MS + writeLongestMs({}));
});

test("an instance that is asked to end has ended before its program is ended", () => {
  assert.ok(STOP_LONGEST_MS < STOP_DEADLINE_MS, `${STOP_LONGEST_MS} ms`);
});
