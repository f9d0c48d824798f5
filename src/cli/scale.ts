/** `lifeboat scale`: how many programs a component of the stack has. */
import type { Config } from "../config/schema.ts";
import { choice, whole } from "../config/value-kind.ts";
import { INSTANCES_MAX, SCALABLE, type Scalable } from "../stack/instances.ts";
import { describeDuration } from "../units/duration.ts";
import type { Style } from "./style.ts";
import { defineVerb, required, type Session, type Verb } from "./verb.ts";

/** What was done. */
export type Scaled = {
  readonly component: Scalable;
  readonly was: number;
  readonly count: number;
  /** False: the stack is down, and comes up with as many. */
  readonly applied: boolean;
  readonly durationMs: number;
};

/** Scales a component of the configured stack. */
export type ScaleConfigured = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly component: Scalable;
  readonly count: number;
}) => Promise<Scaled>;

/** `scale`. */
export function scaleVerb(scale: ScaleConfigured): Verb {
  return defineVerb({
    path: ["scale"],
    summary: "Run more or fewer programs of a component of the stack",
    description:
      "PgBouncer uses one processor: several of them share its port, and the kernel hands each new connection to one. They " +
      "share the connections to the server, too. Clients stay connected, but for those of a PgBouncer that is taken away, " +
      "which are let go between two transactions where they can be. The number is recorded, and `lifeboat up` starts as many. A " +
      "request to cancel a query may reach another PgBouncer than the one it is meant for, and does nothing then. Instances of " +
      "the API share the work behind the balancer, which sends nothing more to one that goes.",
    arguments: {
      component: required(choice(SCALABLE), `One of ${SCALABLE.join(", ")}.`),
      count: required(whole("COUNT", { min: 1, max: INSTANCES_MAX }), `How many, from 1 to ${INSTANCES_MAX}.`),
    },
    options: {},
    configuration: { kind: "checked", sections: ["stack", "folders", "postgres"] },
    examples: [
      { line: "lifeboat scale pgbouncer 2", does: "Two of them." },
      { line: "lifeboat scale pgbouncer 1", does: "One again." },
      { line: "lifeboat scale api 4", does: "Four instances of the API." },
    ],
    run: async ({ arguments: { component, count }, session }) => {
      const done = await scale({ config: await session.config(), session, component, count });
      return { json: done, text: renderScaled(done, session.style) };
    },
  });
}

/** What was done, for people. */
export function renderScaled({ component, was, count, applied, durationMs }: Scaled, style: Style): string {
  const now = `${count} of ${component}`;
  if (!applied) return `The stack is down; it comes up with ${now}.`;
  if (was === count) return `The stack has ${now}; nothing was changed.`;
  return style.good(`The stack has ${now} instead of ${was} after ${describeDuration(durationMs)}.`);
}
