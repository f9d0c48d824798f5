/** A frame for the command line that records what is written and takes everything else from the test. */
import type { Sink } from "../../src/cli/output.ts";
import type { Frame } from "../../src/cli/run.ts";
import type { Clock, Instant, Monotonic } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";

/** A sink that keeps what is written. */
export type RecordedSink = Sink & { readonly written: () => string };

/** A frame and what was written to it. */
export type RecordedFrame = Frame & { readonly stdout: RecordedSink; readonly stderr: RecordedSink };

/** A clock that stands still until it is moved. */
export type HandClock = Clock & { readonly advance: (ms: number) => void };

/** A sink; no terminal unless said otherwise. */
export function recordedSink(facts: { readonly isTerminal?: boolean; readonly columns?: number } = {}): RecordedSink {
  let text = "";
  return {
    isTerminal: facts.isTerminal ?? false,
    columns: facts.columns ?? 100,
    write: (more) => {
      text += more;
    },
    written: () => text,
  };
}

/** A clock at the first second of 2026 that only the test moves. */
export function handClock(): HandClock {
  let nowMs = 0;
  return {
    now: () => (Date.UTC(2026, 0, 1) + nowMs) as Instant,
    monotonic: () => nowMs as Monotonic,
    sleep: async () => {},
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

/** A frame of a user `alice` without a terminal, with the given parts in place of the usual ones. */
export function recordedFrame(given: Partial<RecordedFrame> = {}): RecordedFrame {
  const place = {
    uid: 1000,
    home: "/home/alice",
    stateHome: "/home/alice/.local/state",
    dataHome: "/home/alice/.local/share",
    configHome: "/home/alice/.config",
  };
  return {
    version: "1.2.3",
    stdout: recordedSink(),
    stderr: recordedSink(),
    environment: {},
    place,
    workingFolder: "/nonexistent",
    signal: new AbortController().signal,
    unread: new AbortController().signal,
    clock: handClock(),
    files: systemFiles,
    prompt: () => undefined,
    ...given,
  };
}
