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

/** Restarts a component of the configured stack; the primary, whichever node that is now, only after `acceptOutage`. */
export type RestartConfigured = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly component: ComponentName;
  /** Rejects when the outage is not accepted. */
  readonly acceptOutage: () => Promise<void>;
}) => Promise<Restarted>;

/** `restart`. */
export function restartVerb(restart: RestartConfigured): Verb {
  return defineVerb({
    path: ["restart"],
    summary: "Restart one component of the stack",
    description:
      "Stops the component as `lifeboat down` would, starts it as it was started last, and waits until it does its work again. " +
      "Before the api the database is brought to the newest schema, where its primary runs. " +
      "Restarting the primary interrupts every write meanwhile: that is asked first at a terminal, and refused elsewhere without " +
      "--accept-outage, and while the daemon would answer it with a failover. Clients of pgbouncer, redis and haproxy are disconnected; the others' clients notice nothing.",
    arguments: { component: required(choice(COMPONENT_NAMES), `One of ${COMPONENT_NAMES.join(", ")}.`) },
    options: { acceptOutage: toggle("Restart the primary without asking: writes are interrupted.") },
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat restart receiver", does: "Commits wait for the replica meanwhile." },
      { line: "lifeboat restart db --accept-outage", does: "So that db takes a setting it reads at its start only." },
    ],
    run: async ({ arguments: { component }, options, session }) => {
      const config = await session.config();
      const acceptOutage = async (): Promise<void> => {
        if (!options.acceptOutage) await askAboutOutage(session, component);
      };
      const restarted = await restart({ config, session, component, acceptOutage });
      return { json: restarted, text: renderRestarted(restarted, session.style) };
    },
  });
}

async function askAboutOutage({ prompt }: Session, primary: ComponentName): Promise<void> {
  const what = `restarting ${primary} interrupts every write until it accepts connections again`;
  if (prompt === undefined) {
    throw new LifeboatError("stack.outage-not-accepted", {
      message: `${what}, and there is no terminal to ask at`,
      remedy: `Nothing was done. If that is what you want: lifeboat restart ${primary} --accept-outage.`,
    });
  }
  await prompt.confirm({ what: `R${what.slice(1)}.`, word: primary });
}

/** What was done, for people. */
export function renderRestarted({ component, durationMs }: Restarted, style: Style): string {
  return style.good(`${component} works again after ${describeDuration(durationMs)}.`);
}
