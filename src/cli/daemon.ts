/** `lifeboat daemon`. */
import type { Config } from "../config/schema.ts";
import { defineVerb, type Session, toggle, type Verb } from "./verb.ts";

/** Runs the daemon until the session's signal aborts, then ends it in an orderly way: that is its normal end. */
export type RunDaemon = (call: {
  readonly config: Config;
  readonly session: Session;
  /** Where another one controls the stack: waits for its end, instead of refusing. */
  readonly standBy: boolean;
}) => Promise<void>;

/** `daemon`. */
export function daemonVerb(run: RunDaemon): Verb {
  return defineVerb({
    path: ["daemon"],
    summary: "Watch the stack, and replace its primary when it is gone",
    description:
      "`lifeboat up` starts it with the stack. It looks at every node, the receiver and the poolers, decides, and acts where " +
      "that is safe (failover.automatic); other commands ask it over its socket. What it decides and does stands in its journal. " +
      "A second one stands by (--stand-by) and takes its place when it is killed. " +
      "The first SIGTERM ends it when what is under way has ended, the second at once; the next one goes on.",
    arguments: {},
    options: {
      standBy: toggle("Where another daemon controls the stack, wait, do nothing, and take its place when it ends."),
    },
    configuration: {
      kind: "checked",
      sections: ["stack", "folders", "postgres", "failover"],
      // Earlier versions took one that nobody was ever told by. Without a daemon there is no failover.
      passesOver: ["failover.webhook"],
    },
    examples: [
      { line: "lifeboat daemon", does: "In the foreground, as a service manager wants it." },
      {
        line: "lifeboat daemon --stand-by",
        does: "Twice, for a controller that may be killed together with the primary.",
      },
    ],
    run: async ({ options, session }) => {
      await run({ config: await session.config(), session, standBy: options.standBy });
      return { json: { ended: true }, text: "" };
    },
  });
}
