import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { LifeboatError } from "../errors/error.ts";
import { type Lsn, parseLsn } from "../postgres/lsn.ts";
import { prepareCaughtUp } from "./caught-up.ts";

const NEEDED = parseLsn("0/3000100");

/** Asks for a plan and moves the clock on until there is an answer. */
async function prepared(
  ends: (attempt: number) => Lsn | "no backup",
  lacking?: string,
): Promise<{ end: Lsn; attempts: number }> {
  const clock = new ManualClock();
  let attempts = 0;
  let over = false;
  const prepare = async (): Promise<Lsn> => {
    attempts += 1;
    const end = ends(attempts);
    if (end !== "no backup") return end;
    throw new LifeboatError("restore.no-backup", { message: "none on this timeline", remedy: "Wait." });
  };
  const request = {
    needed: NEEDED,
    prepare,
    endOf: (end: Lsn) => end,
    lacks: () => lacking,
    backup: "lifeboat backup",
  };
  const done = prepareCaughtUp(clock, request, {}).finally(() => {
    over = true;
  });
  done.catch(() => undefined);
  for (let count = 0; count < 100 && !over; count += 1) await clock.advance(1_000);
  assert.ok(over, "it waits for ever");
  return { end: await done, attempts };
}

test("a vault that has what the primary had makes a replica at once, by one plan", async () => {
  assert.deepEqual(await prepared(() => NEEDED), { end: NEEDED, attempts: 1 });
});

test("a vault that is behind the primary by one byte is waited for, and so is a timeline that it has not heard of", async () => {
  const less = (NEEDED - 1n) as Lsn;
  assert.deepEqual(await prepared((attempt) => (attempt < 3 ? less : NEEDED)), { end: NEEDED, attempts: 3 });
  assert.deepEqual(await prepared((attempt) => (attempt < 3 ? "no backup" : NEEDED)), { end: NEEDED, attempts: 3 });
});

test("a vault that stays behind the primary makes no replica: what the old one has may be nowhere else", async () => {
  const ends: number[] = [];
  const less = prepared((attempt) => {
    ends.push(attempt);
    return parseLsn("0/3000000");
  });
  await assert.rejects(less, { code: "stack.rejoin-refused" });
  await assert.rejects(
    prepared(() => "no backup"),
    { code: "restore.no-backup" },
  );
  assert.ok(ends.length < 25, `${ends.length} plans were made within half a minute`);
});

test("a vault that lacks WAL says at once what makes up for it", async () => {
  let attempts = 0;
  const lacking = prepared(() => {
    attempts += 1;
    throw new LifeboatError("restore.wal-gap", { message: "WAL is missing after 0/3001308", remedy: "Accept it." });
  });
  await assert.rejects(lacking, { code: "stack.rejoin-refused", message: /missing after 0.3001308.*lifeboat backup/ });
  assert.equal(attempts, 1);
});

test("no replica is made of a backup that lacks a database: a new backup is asked for", async () => {
  const refused = prepared(() => NEEDED, "backup b may lack a database");
  await assert.rejects(refused, { code: "stack.rejoin-refused", message: /^backup b may lack .*lifeboat backup/ });
});
