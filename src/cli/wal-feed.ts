/** `lifeboat wal feed`. */
import type { Config } from "../config/schema.ts";
import { location } from "../config/value-kind.ts";
import { formatLsn, type Lsn, type Timeline } from "../postgres/lsn.ts";
import { printable } from "./style.ts";
import { defineVerb, required, type Session, type Verb } from "./verb.ts";

/** How a recovery ended that was fed. */
export type Fed = {
  readonly targetFolder: string;
  readonly reached: { readonly timeline: Timeline; readonly lsn: Lsn };
};

/** Feeds the recovery in a restored folder until it has ended. */
export type FeedRecovery = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly targetFolder: string;
}) => Promise<Fed>;

/** `wal feed`. */
export function walFeedVerb(feed: FeedRecovery): Verb {
  return defineVerb({
    path: ["wal", "feed"],
    summary: "Go on feeding WAL to an interrupted recovery",
    description:
      "`restore --boot` lays WAL up to restore.walLaidMax and feeds the rest to the server while it recovers. When that was " +
      "cut short, run this, start the server with pg_ctl beside it, and recovery goes on where it was. Ends when recovery " +
      "has ended. A segment that cannot be had stops recovery; it is never taken for the end of the WAL.",
    arguments: {},
    options: {
      target: required(location("folder"), "The restored data directory."),
    },
    configuration: { kind: "checked", sections: ["vault", "folders"] },
    examples: [{ line: "lifeboat wal feed --target /srv/r", does: "Until the server in /srv/r has recovered." }],
    run: async ({ options, session }) => {
      const fed = await feed({
        config: await session.config(),
        session,
        targetFolder: options.target,
      });
      return { json: fed, text: renderFed(fed) };
    },
  });
}

/** The end of a feed for people. */
export function renderFed({ targetFolder, reached }: Fed): string {
  const where = `${formatLsn(reached.lsn)} on timeline ${reached.timeline}`;
  return `The recovery in ${printable(targetFolder)} has ended at ${where}; nothing needs to be fed any more.`;
}
