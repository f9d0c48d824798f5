import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { SchemaWatch } from "./schema-watch.ts";

type Says = { readonly number: number; readonly is_replica?: boolean };
const NO_TABLE = Object.assign(new Error("no such table"), { code: "42P01" });
const GONE = new Error("Connection terminated");

/** A watch for migration 7 over a database that says what is put into `says`; `later` is its state after the next question. */
async function watched() {
  const clock = new ManualClock();
  const told: string[] = [];
  let says: Says | Error = GONE;
  const ask = async (text: string) => {
    if (!(says instanceof Error)) return [says];
    // What is asked when there is no table.
    if (says === NO_TABLE && text.startsWith("select 0")) return [{ number: 0, is_replica: false }];
    throw says;
  };
  const watch = new SchemaWatch({ clock, ask }, { wanted: 7, tell: (what) => told.push(what) });
  watch.start();
  await clock.advance(0);
  const later = async (next: Says | Error): Promise<string> => {
    says = next;
    await clock.advance(watch.isThere ? 2_000 : 250);
    await clock.advance(0);
    return watch.state;
  };
  return { watch, told, later };
}

test("a database without its schema, or with an older one, is asked until it is there; a newer one will do", async () => {
  const { watch, told, later } = await watched();
  assert.equal(await later(GONE), "unasked");
  assert.equal(await later(NO_TABLE), "older");
  assert.equal(await later({ number: 5 }), "older");
  assert.equal(watch.isThere, false);
  assert.equal(await later({ number: 7 }), "fits");
  assert.equal(await later({ number: 8 }), "newer");
  assert.equal(watch.isThere, true);
  await watch.stop();
  assert.deepEqual(told, [
    "the database's schema is of migration 0, this program's of 7: not ready until `lifeboat up` has brought it there",
    "the database's schema is of migration 7, this program's of 7",
    "the database's schema is of migration 8, this program's of 7",
  ]);
});

test("a schema that was right is older once a primary has said so twice in a row, as after a restore, and is waited for again", async () => {
  const { watch, told, later } = await watched();
  assert.equal(await later({ number: 7, is_replica: true }), "fits");
  for (const number of [7, 6, 7, 6]) assert.equal(await later({ number }), "fits", "once is not twice in a row");
  assert.deepEqual(told, []);
  assert.equal(await later(GONE), "fits");
  assert.equal(await later({ number: 6 }), "older");
  assert.equal(await later({ number: 7, is_replica: true }), "older", "a replica of the history that was left");
  assert.equal(await later({ number: 7 }), "fits");
  await later(NO_TABLE);
  assert.equal(await later(NO_TABLE), "older", "restored to before all migrations");
  await watch.stop();
  assert.equal(told.length, 3);
});

test("a replica that is behind a migration stops nobody", async () => {
  const { watch, later } = await watched();
  assert.equal(await later({ number: 7 }), "fits");
  for (let times = 0; times < 3; times += 1) assert.equal(await later({ number: 6, is_replica: true }), "fits");
  await watch.stop();
  const other = await watched();
  assert.equal(await other.later({ number: 7, is_replica: true }), "fits");
  for (let times = 0; times < 3; times += 1) assert.equal(await other.later({ number: 6, is_replica: true }), "fits");
  await other.watch.stop();
});
