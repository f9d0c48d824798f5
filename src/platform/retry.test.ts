import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { type Clock, systemClock } from "./clock.ts";
import { retry } from "./retry.ts";

const POLICY = { attemptsMax: 4, delayMinMs: 100, delayMaxMs: 300 };

function recorded(): { readonly clock: Clock; readonly sleptMs: number[] } {
  const sleptMs: number[] = [];
  return { clock: { ...systemClock, sleep: async (durationMs) => void sleptMs.push(durationMs) }, sleptMs };
}

const longest = (length: number): Buffer => Buffer.alloc(length, 0xff);

test("work that fails twice is done at the third attempt, after growing delays", async () => {
  const { clock, sleptMs } = recorded();
  let attempts = 0;
  const work = async (): Promise<string> => {
    attempts += 1;
    if (attempts < 3) throw new Error("not yet");
    return "done";
  };
  assert.equal(await retry({ clock, random: longest }, POLICY, work, { permanent: () => false }), "done");
  assert.deepEqual(sleptMs.map(Math.round), [100, 200]);
});

test("attempts and delays are bounded, and the last failure is what the caller gets", async () => {
  const { clock, sleptMs } = recorded();
  let attempts = 0;
  const work = (): Promise<never> => Promise.reject(new Error(`failure ${++attempts}`));
  await assert.rejects(retry({ clock, random: longest }, POLICY, work, { permanent: () => false }), /failure 4/);
  assert.deepEqual(sleptMs.map(Math.round), [100, 200, 300]);
});

test("a delay is shortened by a half at most", async () => {
  const { clock, sleptMs } = recorded();
  const tools = { clock, random: (length: number) => Buffer.alloc(length) };
  const work = (): Promise<never> => Promise.reject(new Error("no"));
  await assert.rejects(retry(tools, { ...POLICY, attemptsMax: 2 }, work, { permanent: () => false }), /no/);
  assert.deepEqual(sleptMs, [50]);
});

test("a permanent failure is not tried again", async () => {
  const { clock, sleptMs } = recorded();
  const failures: (number | undefined)[] = [];
  await assert.rejects(
    retry({ clock, random: longest }, POLICY, () => Promise.reject(new Error("never")), {
      permanent: () => true,
      failed: ({ delayMs }) => failures.push(delayMs),
    }),
    /never/,
  );
  assert.deepEqual(sleptMs, []);
  assert.deepEqual(failures, [undefined]);
});

test("an attempt that got somewhere begins the count and the delays anew", async () => {
  const { clock, sleptMs } = recorded();
  let attempts = 0;
  const policy = { ...POLICY, attemptsMax: 3 };
  await assert.rejects(
    retry(
      { clock, random: longest },
      policy,
      async (attempt) => {
        attempts += 1;
        if (attempts === 2) attempt.progressed();
        throw new Error("again");
      },
      { permanent: () => false },
    ),
    /again/,
  );
  assert.equal(attempts, 4);
  assert.deepEqual(sleptMs.map(Math.round), [100, 100, 200]);
});

test("an abort ends the waiting at once", async () => {
  const stop = new AbortController();
  const running = retry(
    { clock: systemClock, random: longest },
    { attemptsMax: 9, delayMinMs: 60_000, delayMaxMs: 60_000 },
    () => Promise.reject(new Error("down")),
    { signal: stop.signal, permanent: () => false, failed: () => queueMicrotask(() => stop.abort()) },
  );
  await assert.rejects(running, (error) => isLifeboatError(error, "platform.aborted"));
});
