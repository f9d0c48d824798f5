import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock, Instant, Monotonic } from "../platform/clock.ts";
import { type Arrival, ArrivalQueue } from "./arrivals.ts";

function queueAt(time: { nowMs: number }) {
  const clock: Clock = {
    now: () => time.nowMs as Instant,
    monotonic: () => time.nowMs as Monotonic,
    sleep: () => Promise.resolve(),
  };
  const expired: string[] = [];
  const queue = new ArrivalQueue(clock, {
    deadlineMs: 100,
    expired: (arrival, why) => expired.push(`${arrival.sequence} ${why}`),
  });
  return { queue, expired };
}

function arrival(sequence: number, dueMs: number): Arrival {
  return { kind: "write", sequence, dueAt: dueMs as Monotonic };
}

const never = new AbortController().signal;

test("writes are taken in the order of their arrival, at once or when they come", async () => {
  const { queue } = queueAt({ nowMs: 0 });
  queue.add(arrival(1, 0));
  queue.add(arrival(2, 0));
  assert.equal((await queue.take(never))?.sequence, 1);
  assert.equal((await queue.take(never))?.sequence, 2);
  const waiting = queue.take(never);
  queue.add(arrival(3, 0));
  assert.equal((await waiting)?.sequence, 3);
});

test("a write that waited past its deadline is given up and not sent", async () => {
  const time = { nowMs: 0 };
  const { queue, expired } = queueAt(time);
  queue.add(arrival(1, 0));
  queue.add(arrival(2, 50));
  time.nowMs = 100;
  assert.equal((await queue.take(never))?.sequence, 2);
  assert.deepEqual(expired, ["1 deadline"]);
});

test("a taker that gives up takes nothing away from the others", async () => {
  const { queue } = queueAt({ nowMs: 0 });
  const stop = new AbortController();
  const first = queue.take(stop.signal);
  const second = queue.take(never);
  stop.abort();
  queue.add(arrival(1, 0));
  assert.equal(await first, undefined);
  assert.equal((await second)?.sequence, 1);
  assert.equal(await queue.take(stop.signal), undefined);
});

test("the queue is bounded, and what finds it full is given up and counted", () => {
  const { queue, expired } = queueAt({ nowMs: 0 });
  for (let sequence = 1; sequence <= 10_003; sequence++) queue.add(arrival(sequence, 0));
  assert.equal(queue.waitingCount, 10_000);
  assert.deepEqual(expired, ["10001 overload", "10002 overload", "10003 overload"]);
});
