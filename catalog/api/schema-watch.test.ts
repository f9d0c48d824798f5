import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { SchemaWatch } from "./schema-watch.ts";

test("a database without its schema, or with an older one, is asked until it is there; a newer one will do", async () => {
  const clock = new ManualClock();
  const told: string[] = [];
  let answer: () => Promise<number> = () => Promise.reject(new Error("Connection terminated"));
  const reads = { read: async () => ({ rows: [{ number: await answer() }], from: "primary" }) as const };
  const watch = new SchemaWatch({ clock, reads }, { wanted: 7, tell: (what) => told.push(what) });
  watch.start();
  const states: string[] = [];
  const later = async (next: () => Promise<number>) => {
    answer = next;
    await clock.advance(250);
    await clock.advance(0);
    states.push(`${watch.state} ${watch.isThere}`);
  };
  await later(() => Promise.reject(new Error("Connection terminated")));
  await later(() => Promise.reject(Object.assign(new Error("no such table"), { code: "42P01" })));
  await later(async () => 5);
  await later(async () => 7);
  await watch.stop();
  assert.deepEqual(states, ["unasked false", "older false", "older false", "fits true"]);
  assert.deepEqual(told, [
    "the database's schema is of migration 0, this program's of 7: not ready until `lifeboat up` has brought it there",
  ]);
  const other = new SchemaWatch({ clock, reads }, { wanted: 6, tell: (what) => told.push(what) });
  other.start();
  await clock.advance(0);
  await other.stop();
  assert.deepEqual([other.state, other.isThere], ["newer", true]);
});
