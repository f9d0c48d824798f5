/** When a component that ended by itself is started again. Pure. */
import type { ComponentSpec } from "../components.ts";

/** What decides. */
export type Ending = {
  readonly restart: ComponentSpec["restart"];
  /** How long it had run. */
  readonly ranMs: number;
  /** Ends in a row before this one that still count: none came after a long run. What came up leaves one. */
  readonly quickEnds: number;
};

/** What to do about it. */
export type AfterEnd =
  | { readonly kind: "leave"; readonly mode: "ended" | "gave-up" }
  | { readonly kind: "again"; readonly delayMs: number; readonly quickEnds: number };

/** What ran for so long had come up: the first time it is started again at once. */
const UP_RUN_MS = 10_000;
/** Whatever ended it is news: nothing of before counts. */
const LONG_RUN_MS = 600_000;
const DELAY_MIN_MS = 200;
/** Whoever takes its place has more to do than usual in the first seconds, and wants the processor for it. */
const UNHURRIED_MS = 2_000;
const DELAY_MAX_MS = 10_000;
/** About a minute of trying: what has not come up by then needs a person. */
export const QUICK_ENDS_MAX = 12;

/** Decides. */
export function afterEnd(ending: Ending): AfterEnd {
  if (ending.restart === "never") return { kind: "leave", mode: "ended" };
  const next = soonest(ending);
  if (next.kind === "leave" || ending.restart === "on-failure") return next;
  return { ...next, delayMs: Math.max(next.delayMs, UNHURRIED_MS) };
}

function soonest({ ranMs, quickEnds }: Ending): AfterEnd {
  if (ranMs >= LONG_RUN_MS) return { kind: "again", delayMs: 0, quickEnds: 0 };
  // What keeps coming up and ending does not use up the machine, and needs no person to start it.
  if (ranMs >= UP_RUN_MS) return { kind: "again", delayMs: quickEnds === 0 ? 0 : DELAY_MIN_MS, quickEnds: 1 };
  if (quickEnds >= QUICK_ENDS_MAX) return { kind: "leave", mode: "gave-up" };
  return { kind: "again", delayMs: Math.min(DELAY_MIN_MS * 2 ** quickEnds, DELAY_MAX_MS), quickEnds: quickEnds + 1 };
}
