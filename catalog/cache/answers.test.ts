import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { Answers } from "./answers.ts";
import { MemoryCopies } from "./copies.ts";
import type { Redis } from "./redis.ts";

const times = { softMs: 30_000, hardMs: 600_000 };
const HOUR_MS = 3_600_000;

/** A redis that keeps everything, for instances with clocks of their own. */
function sharedRedis(): Redis {
  const texts = new Map<string, string>();
  const redis = {
    get: async (key: string) => texts.get(key),
    set: async (key: string, text: string) => void texts.set(key, text),
  };
  return redis as unknown as Redis;
}

/** What a database says; no price: it is away. */
type Database = { price: number | undefined; behindMs?: number };

/** An instance's answers to one question. */
function instanceOver(database: Database, redis?: Redis) {
  const clock = new ManualClock();
  const answers = new Answers({ clock, memory: new MemoryCopies(100_000), redis });
  const load = async () => {
    if (database.price === undefined) throw new Error("the database is away");
    return { body: Buffer.from(String(database.price)), behindMs: database.behindMs ?? 0 };
  };
  const ask = async (): Promise<string> => {
    try {
      const { copy, from, isStale } = await answers.get("question", { times, load, isFinal: () => false });
      return `${copy.body} from ${from}${isStale ? ", stale" : ""}`;
    } catch {
      return "nothing";
    }
  };
  return { clock, ask };
}

test("an answer is fresh for its soft time, and in its hard time better than nothing", async () => {
  const database: { price: number | undefined } = { price: 10 };
  const { clock, ask } = instanceOver(database);
  assert.equal(await ask(), "10 from database");
  database.price = undefined;
  await clock.advance(20_000);
  assert.equal(await ask(), "10 from memory");
  await clock.advance(20_000);
  assert.equal(await ask(), "10 from memory, stale");
  await clock.advance(600_000);
  assert.equal(await ask(), "nothing");
});

test("what was kept while the clock was ahead serves nobody when it is set right, not even by redis", async () => {
  const database: { price: number | undefined } = { price: 10 };
  const redis = sharedRedis();
  const [ahead, right] = [instanceOver(database, redis), instanceOver(database, redis)];
  ahead.clock.setWall(HOUR_MS);
  assert.equal(await ahead.ask(), "10 from database");
  ahead.clock.setWall(-HOUR_MS);
  database.price = undefined;
  assert.deepEqual([await ahead.ask(), await right.ask()], ["nothing", "nothing"]);
  database.price = 99;
  assert.deepEqual([await right.ask(), await ahead.ask()], ["99 from database", "99 from redis"]);
});

test("a copy of a clock that was ahead does not keep one of a known age from being given", async () => {
  const database: { price: number | undefined } = { price: 10 };
  const redis = sharedRedis();
  const [ahead, right] = [instanceOver(database, redis), instanceOver(database, redis)];
  assert.equal(await right.ask(), "10 from database");
  await right.clock.advance(40_000);
  ahead.clock.setWall(HOUR_MS);
  assert.equal(await ahead.ask(), "10 from database");
  database.price = undefined;
  assert.equal(await right.ask(), "10 from memory, stale");
});

test("clocks of two instances may differ by a second: they share their answers", async () => {
  const redis = sharedRedis();
  const [one, other] = [instanceOver({ price: 10 }, redis), instanceOver({ price: 10 }, redis)];
  one.clock.setWall(1_000);
  assert.equal(await one.ask(), "10 from database");
  assert.equal(await other.ask(), "10 from redis");
});

test("what a replica says that is behind is as old as that: fresh for less long, else marked, kept for nobody and given only for want of something newer", async () => {
  const redis = sharedRedis();
  const database: Database = { price: 10, behindMs: 20_000 };
  const [one, other] = [instanceOver(database, redis), instanceOver(database, redis)];
  assert.equal(await one.ask(), "10 from database");
  for (const { clock } of [one, other]) await clock.advance(11_000);
  Object.assign(database, { price: 5, behindMs: 86_400_000 });
  assert.equal(await one.ask(), "10 from redis, stale");
  assert.equal(await instanceOver(database, sharedRedis()).ask(), "5 from database, stale");
  Object.assign(database, { price: 11, behindMs: 0 });
  assert.deepEqual([await one.ask(), await other.ask()], ["11 from database", "11 from redis"]);
});
