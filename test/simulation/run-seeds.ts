/** Runs seeds side by side in one thread: each turn lets every seed run to where its controllers were woken. */
import { setImmediate as turn } from "node:timers/promises";
import type { Rule } from "./rules.ts";
import { Scenario, type SeedResult } from "./scenario.ts";
import { drawScript, type Script } from "./script.ts";

/** Seeds that share a turn of the event loop: its cost is divided among them. More of them leave the processor's caches. */
const SIDE_BY_SIDE = 16;

/** A seed; its script is drawn from it where none is given. */
export type Start = { readonly seed: number; readonly script: Script | undefined };

/** Runs seeds and tells each result; stops when told to. */
export async function runSeeds(
  seeds: Iterable<Start>,
  without: ReadonlySet<Rule>,
  told: (result: SeedResult) => "go on" | "stop",
): Promise<void> {
  const waiting = seeds[Symbol.iterator]();
  const running = new Set<Scenario>();
  const fill = (): void => {
    while (running.size < SIDE_BY_SIDE) {
      const next = waiting.next();
      if (next.done === true) return;
      const { seed, script = drawScript(seed) } = next.value;
      running.add(new Scenario({ seed, script }, without));
    }
  };
  fill();
  while (running.size > 0) {
    for (const scenario of running) {
      if (scenario.step()) continue;
      running.delete(scenario);
      if (told(scenario.result) === "stop") return;
    }
    fill();
    await turn();
  }
}
