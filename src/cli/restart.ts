/** `lifeboat restart`: restarts one component of the stack. */
import type { Config } from "../config/schema.ts";
import { choice } from "../config/value-kind.ts";
import { LifeboatError } from "../errors/error.ts";
import { COMPONENT_NAMES, type ComponentName } from "../stack/component-names.ts";
import { describeDuration } from "../units/duration.ts";
import type { Style } from "./style.ts";
import { defineVerb, required, type Session, toggle, type Verb } from "./verb.ts";

/** What was done. */
export type Restarted = {
  readonly component: ComponentName;
  /** Until it did its work again. */
  readonly durationMs: number;
};

/** Restarts a component of the configured stack. */
export type RestartConfigured = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly component: ComponentName;
}) => Promise<Restarted>;

/** `restart`. */
export function restartVerb(restart: RestartConfigured): Verb {
  return defineVerb({
    path: ["restart"],
    summary: "Restart one component of the stack",
    description:
      "Stops the component as `lifeboat down` would, starts it as it was started last, and waits until it does its work again. " +
      "Restarting db interrupts every write meanwhile: that is asked first at a terminal, and refused elsewhere without " +
      "--accept-outage. Clients of pgbouncer, redis and haproxy are disconnected; the others' clients notice nothing.",
    arguments: { component: required(choice(COMPONENT_NAMES), `One of ${COMPONENT_NAMES.join(", ")}.`) },
    options: { acceptOutage: toggle("Restart db without asking: writes are interrupted.") },
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat restart receiver", does: "Commits wait for the replica meanwhile." },
      { line: "lifeboat restart db --accept-outage", does: "So that db takes a setting it reads at its start only." },
    ],
    run: async ({ arguments: { component }, options, session }) => {
      const config = await session.config();
      if (component === "db" && !options.acceptOutage) await askAboutOutage(session);
      const restarted = await restart({ config, session, component });
      return { json: restarted, text: renderRestarted(restarted, session.style) };
    },
  });
}

async function askAboutOutage({ prompt }: Session): Promise<void> {
  const what = "restarting db interrupts every write until it accepts connections again";
  if (prompt === undefined) {
    throw new LifeboatError("stack.outage-not-accepted", {
      message: `${what}, and there is no terminal to ask at`,
      remedy: "Nothing was done. If that is what you want: lifeboat restart db --accept-outage.",
    });
  }
  await prompt.confirm({ what: `R${what.slice(1)}.`, word: "db" });
}

/** What was done, for people. */
export function renderRestarted({ component, durationMs }: Restarted, style: Style): string {
  return style.good(`${component} works again after ${describeDuration(durationMs)}.`);
}
