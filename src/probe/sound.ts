/** What a probe's result comes to. By itself, since the command line asks and does not load the probe for it. */
import type { ProbeResult } from "./run.ts";

/** True when no acknowledged write is lost or changed, and none that was called failed is there. */
export function isSound({ readBack: back, judgement }: Pick<ProbeResult, "readBack" | "judgement">): boolean {
  const odd = judgement.failedPresent.length + judgement.strangers.length;
  return back.missing.length + back.damaged.length + odd === 0;
}
