/** `lifeboat down`: takes the configured stack down. */
import type { Config } from "../config/schema.ts";
import { describeDuration } from "../units/duration.ts";
import type { Style } from "./style.ts";
import { defineVerb, type Session, type Verb } from "./verb.ts";

/** What was done. */
export type TakenDown = {
  readonly stack: { readonly name: string; readonly folder: string };
  /** In the order in which they were stopped; empty: the stack was down. */
  readonly stopped: readonly StoppedFacts[];
  readonly durationMs: number;
};

/** A component that was stopped. */
export type StoppedFacts = {
  readonly component: string;
  readonly durationMs: number;
  /** It had not ended in its time. */
  readonly killed: boolean;
};

/** Takes the configured stack down. */
export type TakeDown = (call: { readonly config: Config; readonly session: Session }) => Promise<TakenDown>;

/** `down`. */
export function downVerb(takeDown: TakeDown): Verb {
  return defineVerb({
    path: ["down"],
    summary: "Take the stack down",
    description:
      "Stops every program of the stack, clients' side first, the primary behind the replica and the receiver last, so that the " +
      "vault has the last WAL. Leaves no process and no port in use; data, vault, secrets and logs stay, and `lifeboat up` goes " +
      "on with them. To remove a stack for good, take it down and delete its folder.",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat down", does: "The stack that is configured." },
      { line: "lifeboat down --stack-name trial", does: "Another one." },
    ],
    run: async ({ session }) => {
      const taken = await takeDown({ config: await session.config(), session });
      return { json: taken, text: renderTakenDown(taken, session.style) };
    },
  });
}

/** What was done, for people. */
export function renderTakenDown({ stack, stopped, durationMs }: TakenDown, style: Style): string {
  if (stopped.length === 0) return `Stack ${stack.name} was down; nothing was done.`;
  const head = style.good(`Stack ${stack.name} is down after ${describeDuration(durationMs)}.`);
  const killed = stopped.filter((each) => each.killed).map(({ component }) => component);
  const warning = killed.length === 0 ? [] : [style.warning(`Killed, since not ended in time: ${killed.join(", ")}.`)];
  return [head, ...warning, `Its data, vault, secrets and logs are in ${stack.folder}.`].join("\n");
}
