/**
 * What every step of the demo's story may use, and how it speaks.
 */
import { type Clock, formatInstant, type Instant, type Monotonic } from "../platform/clock.ts";
import type { LocalServer } from "../postgres/server.ts";
import type { DemoChoice } from "./facts.ts";
import type { DemoFolder, FolderPorts } from "./folder.ts";
import type { ProgramPaths } from "./receiver.ts";
import type { ServerKit } from "./servers.ts";

/** How far long work has come; `unit` is bytes unless said. */
export type DemoProgress = {
  readonly phase: string;
  readonly done?: number | undefined;
  readonly total?: number | undefined;
  readonly unit?: string | undefined;
};

/** What a demo needs. */
export type DemoTools = FolderPorts & {
  readonly program: ProgramPaths;
  /** Tells a person what was done, a line at a time. */
  readonly notice: (line: string) => void;
  readonly progress: (progress: DemoProgress) => void;
};

/** What the configuration says of a demo. */
export type DemoSettings = {
  readonly sandbox: string;
  readonly binFolder: string | undefined;
  readonly runAs: string | undefined;
  /** How long the receiver holds everything back. */
  readonly receiverDelayMs: number;
  readonly bootTimeoutMs: number;
};

/** Everything a step may use. */
export type Stage = {
  readonly tools: DemoTools;
  readonly settings: DemoSettings;
  readonly choice: DemoChoice;
  readonly place: DemoFolder;
  readonly kit: ServerKit;
  readonly passphrase: string;
  /** Released in reverse when the demo ends. */
  readonly scope: AsyncDisposableStack;
  readonly wall: WallClock;
  readonly say: (line: string) => void;
  /** Has a server killed when the demo ends, unless it is kept. */
  readonly made: (server: LocalServer) => void;
  readonly signal: AbortSignal;
};

/** The client writes this long before the backup begins, after the mistake, and after the recovery. */
export const MOMENT_MS = 1_000;

/** Wall-clock time that advances with the monotonic clock, as the client keeps it too. */
export class WallClock {
  readonly #clock: Clock;
  readonly #offsetMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = clock.now() - clock.monotonic();
  }

  /** Milliseconds since 1970. */
  at(reading: Monotonic): number {
    return this.#offsetMs + reading;
  }

  nowMs(): number {
    return this.at(this.#clock.monotonic());
  }
}

/** Progress in bytes; a total of 0 is one that is not known yet. */
export function bytesDone(
  phase: string,
  bytes: { readonly doneBytes: number; readonly totalBytes: number },
): DemoProgress {
  return bytes.totalBytes === 0 ? { phase } : { phase, done: bytes.doneBytes, total: bytes.totalBytes };
}

/** Minutes and seconds, aligned: ` 1:04`. */
export function elapsed(clock: Clock, since: Monotonic): string {
  const seconds = Math.floor((clock.monotonic() - since) / 1_000);
  return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The time of day: `03:04:05.678 UTC`. */
export function timeOf(ms: number): string {
  return `${formatInstant(Math.round(ms) as Instant).slice(11, 23)} UTC`;
}

/** A whole number with a space between thousands. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, " ");
}
