/** `lifeboat up`: brings the configured stack up. */
import type { Config } from "../config/schema.ts";
import { choice } from "../config/value-kind.ts";
import { describeDuration } from "../units/duration.ts";
import { connectRows, type StackOverview } from "./stack-overview.ts";
import type { Style } from "./style.ts";
import { renderFacts } from "./table.ts";
import { defineVerb, type Session, toggle, type Verb, type VerbResult, withDefault } from "./verb.ts";

/** How ports are chosen where none were recorded. */
export type PortsChoice = "described" | "auto";

/** A step and what it brings about. */
export type StepFacts = { readonly step: string; readonly effect: string };

/** What would be done. */
export type UpPlanned = {
  readonly stack: StackOverview;
  /** Free ports would be taken in place of the described ones. */
  readonly portsToChoose: boolean;
  readonly steps: readonly StepFacts[];
};

/** What was done. */
export type BroughtUp = {
  readonly stack: StackOverview;
  /** What changed something; empty: the stack was up. */
  readonly steps: readonly (StepFacts & { readonly durationMs: number })[];
  readonly durationMs: number;
  /** Of the vault, where one was made; it is kept nowhere. */
  readonly recoveryKey: string | undefined;
};

type Call = {
  readonly config: Config;
  readonly session: Session;
  readonly ports: PortsChoice;
  /** Install programs that are missing without asking. */
  readonly install: boolean;
};

/** Plans a start-up, and carries it out. */
export type UpEngine = {
  readonly plan: (call: Call) => Promise<UpPlanned>;
  /** `onWritten` is called when the result is out: until then, the next start makes another recovery key and shows that. */
  readonly run: (call: Call) => Promise<BroughtUp & Pick<VerbResult, "onWritten">>;
};

/** `up`. */
export function upVerb(engine: UpEngine): Verb {
  return defineVerb({
    path: ["up"],
    summary: "Bring up the stack: primary, replica, pooler, balancer, cache, receiver",
    description:
      "Starts the stack of the section stack on this machine and proves that it works: a write through PgBouncer is read back " +
      "on the replica. What is missing is made, what is there is kept; on a stack that is up it changes nothing. Cut short, or " +
      "after a crash of anything, it goes on where it was. The programs run on when the command and its terminal have ended.",
    arguments: {},
    options: {
      ports: withDefault(
        choice(["described", "auto"]),
        "described",
        "The configured ports, or free ones, which are recorded and stay.",
      ),
      install: toggle("As root on Debian, install missing programs (redis, PgBouncer, HAProxy) without asking."),
      dryRun: toggle("Print the plan and change nothing."),
    },
    configuration: { kind: "checked", sections: ["stack", "folders", "postgres", "failover"] },
    examples: [
      { line: "lifeboat up", does: "Everything, with the ports of the runbook." },
      { line: "lifeboat up --dry-run", does: "What it would do, and what stands in its way." },
      { line: "lifeboat up --ports auto --stack-name trial", does: "A second stack beside the first." },
    ],
    run: async ({ options, session }) => {
      const { ports, install } = options;
      const call = { config: await session.config(), session, ports, install };
      const { style } = session;
      if (options.dryRun) {
        const planned = await engine.plan(call);
        return { json: { plan: planned }, text: renderUpPlan(planned, style) };
      }
      const { onWritten, ...brought } = await engine.run(call);
      const json = { ...brought, recoveryKey: brought.recoveryKey ?? null };
      return { json, text: renderBroughtUp(brought, style), onWritten };
    },
  });
}

/** A plan for people. */
export function renderUpPlan({ stack, steps, portsToChoose }: UpPlanned, style: Style): string {
  if (steps.length === 0) return style.good(`Stack ${stack.name} is up; nothing would be done.`);
  const width = Math.max(...steps.map(({ step }) => step.length));
  const lines = steps.map(({ step, effect }) => `  ${step.padEnd(width)}  ${effect}`);
  const ports = portsToChoose ? "with free ports in place of the described ones" : "with these ports";
  const taken = portsToChoose
    ? ""
    : `\n${renderFacts(Object.entries(stack.ports).map(([name, port]) => [name, `${port}`]))}`;
  return [style.strong(`The plan for stack ${stack.name}`), ...lines, "", `In ${stack.folder}, ${ports}.${taken}`].join(
    "\n",
  );
}

/** What was done, for people. */
export function renderBroughtUp({ stack, steps, durationMs, recoveryKey }: BroughtUp, style: Style): string {
  const head =
    steps.length === 0
      ? `Stack ${stack.name} was up; nothing was changed.`
      : `Stack ${stack.name} is up after ${describeDuration(durationMs)}.`;
  const parts = [`${style.good(head)}\n\n${renderFacts(connectRows(stack))}`];
  if (recoveryKey !== undefined) {
    const why =
      "It opens the stack's vault when its passphrase is lost. Keep it away from this machine: it is shown this once.";
    parts.push(`${style.strong("Recovery key")}  ${recoveryKey}\n${why}`);
  }
  return parts.join("\n\n");
}
