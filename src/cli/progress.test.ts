import assert from "node:assert/strict";
import { test } from "node:test";
import { handClock, recordedSink } from "../../test/support/recorded-frame.ts";
import { createProgress } from "./progress.ts";

const MIB = 1024 * 1024;

test("on a terminal one line is redrawn, with rate and time left, at most ten times a second", () => {
  const clock = handClock();
  const sink = recordedSink({ isTerminal: true });
  const progress = createProgress(sink, { mode: "terminal", clock });
  for (let step = 0; step <= 1000; step += 1) {
    progress.report({ phase: "copying", done: step * MIB, total: 4000 * MIB });
    clock.advance(10);
  }
  const drawn = sink.written().split("\r\u001b[K").slice(1);
  assert.equal(drawn.length, 101);
  assert.equal(drawn.at(-1), "copying  25%  1000 MiB of 3.9 GiB  100 MiB/s  30s left");
  assert.ok(!sink.written().includes("\n"));
});

test("the line is never wider than the terminal", () => {
  const sink = recordedSink({ isTerminal: true, columns: 20 });
  const progress = createProgress(sink, { mode: "terminal", clock: handClock() });
  progress.report({ phase: "a phase with a very long name\nand a line end", done: 1, total: 2 });
  assert.equal(sink.written(), "\r\u001b[Ka phase with a ver…");
});

test("the end clears the line, once, and a report after it shows again", () => {
  const sink = recordedSink({ isTerminal: true });
  const progress = createProgress(sink, { mode: "terminal", clock: handClock() });
  progress.end();
  progress.report({ phase: "copying" });
  progress.end();
  progress.end();
  assert.equal(sink.written(), "\r\u001b[Kcopying\r\u001b[K");
  progress.report({ phase: "storing" });
  assert.ok(sink.written().endsWith("storing"));
});

test("a note goes above the line", () => {
  const sink = recordedSink({ isTerminal: true });
  const progress = createProgress(sink, { mode: "terminal", clock: handClock() });
  progress.report({ phase: "copying" });
  progress.note("careful\u0007");
  assert.equal(sink.written(), "\r\u001b[Kcopying\r\u001b[Kcareful\\x07\n");
});

test("elsewhere there is a line for each phase, one every ten seconds, and one for the finish", () => {
  const clock = handClock();
  const sink = recordedSink();
  const progress = createProgress(sink, { mode: "plain", clock });
  progress.report({ phase: "checkpoint" });
  for (let second = 0; second <= 25; second += 1) {
    progress.report({ phase: "copying", done: second * 4 * MIB, total: 100 * MIB });
    progress.report({ phase: "copying", done: second * 4 * MIB, total: 100 * MIB });
    clock.advance(1000);
  }
  assert.equal(
    sink.written(),
    [
      "checkpoint",
      "copying  0%  0 B of 100 MiB",
      "copying  40%  40.0 MiB of 100 MiB  4.0 MiB/s  15s left",
      "copying  80%  80.0 MiB of 100 MiB  4.0 MiB/s  5.0s left",
      "copying  100%  100 MiB of 100 MiB  4.0 MiB/s",
      "",
    ].join("\n"),
  );
});

test("as JSON there is a line for each phase and one a second", () => {
  const clock = handClock();
  const sink = recordedSink();
  const progress = createProgress(sink, { mode: "json", clock });
  for (let step = 0; step < 4; step += 1) {
    progress.report({ phase: "replaying", done: step, total: 10, unit: "segments" });
    clock.advance(500);
  }
  progress.note("half-way");
  assert.deepEqual(
    sink
      .written()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
    [
      { progress: { phase: "replaying", unit: "segments", done: 0, total: 10 } },
      {
        progress: { phase: "replaying", unit: "segments", done: 2, total: 10, ratePerSecond: 2, timeLeftMs: 4000 },
      },
      { note: "half-way" },
    ],
  );
});

test("a stall shows: the rate falls with the last seconds, and no time left is guessed at a standstill", () => {
  const clock = handClock();
  const sink = recordedSink();
  const progress = createProgress(sink, { mode: "json", clock });
  for (let second = 0; second < 30; second += 1) {
    progress.report({ phase: "copying", done: Math.min(second, 10) * 100, total: 10_000 });
    clock.advance(1000);
  }
  const last = JSON.parse(sink.written().trim().split("\n").at(-1) ?? "");
  assert.equal(last.progress.ratePerSecond, 0);
  assert.equal(last.progress.timeLeftMs, undefined);
});

test("things are counted in their own unit, and a count without a total has no percentage", () => {
  const clock = handClock();
  const sink = recordedSink();
  const progress = createProgress(sink, { mode: "plain", clock });
  progress.report({ phase: "replaying", done: 3, total: 8, unit: "segments" });
  progress.report({ phase: "receiving", done: 4096 });
  assert.equal(sink.written(), "replaying  37%  3 of 8 segments\nreceiving  4.0 KiB\n");
});

test("quiet is quiet", () => {
  const sink = recordedSink();
  const progress = createProgress(sink, { mode: "quiet", clock: handClock() });
  progress.report({ phase: "copying" });
  progress.note("careful");
  progress.end();
  assert.equal(sink.written(), "");
});
