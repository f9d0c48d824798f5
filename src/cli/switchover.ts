/** `lifeboat switchover` and `lifeboat rebuild`. */
import { choice, text } from "../config/value-kind.ts";
import { shellQuoted } from "../platform/shell-word.ts";
import { describeDuration } from "../units/duration.ts";
import { type FailoverEngine, renderAction, renderCost } from "./failover.ts";
import { printable } from "./style.ts";
import { renderFacts } from "./table.ts";
import { defineVerb, optional, required, toggle, type Verb } from "./verb.ts";

const NODES = ["db", "db_replica"] as const;

const CONFIGURATION = { kind: "checked", sections: ["stack", "folders", "postgres", "failover"] } as const;

/** `switchover`. */
export function switchoverVerb(engine: FailoverEngine): Verb {
  return defineVerb({
    path: ["switchover"],
    summary: "Move the primary role to another node, without a failed query",
    description:
      "Looks first whether it can be done: the target streams, has little to replay, and every pooler can log in to it. Then " +
      "clients wait while the primary is stopped in an orderly way, the target has all of it and is promoted, and the poolers " +
      "lead there. Where transactions do not end in time, clients go on as before and nothing was changed. The old primary " +
      "follows the new one afterwards. Logical slots that the target does not have, and text that it sorts by another version " +
      "of glibc or ICU, stand in the way until they are accepted.",
    arguments: {},
    options: {
      to: required(choice(NODES), "The node that becomes the primary."),
      dryRun: toggle("Look, print the plan, and change nothing."),
      accept: optional(
        text("COSTS"),
        "What it may cost beside writes, typed as --dry-run states it (for example the names of logical slots, or unknown).",
      ),
    },
    configuration: CONFIGURATION,
    examples: [
      {
        line: "lifeboat switchover --to db_replica --dry-run",
        does: "What would be done, and what stands in the way.",
      },
      { line: "lifeboat switchover --to db_replica", does: "Before work on the primary's machine." },
    ],
    run: async ({ options, session }) => {
      const { style } = session;
      const result = await engine.switchover({ config: await session.config(), session, ...options });
      if (!("plan" in result)) return { json: result, text: renderAction(result, "took over from", style) };
      const stages = result.plan.map((stage, index) => `${`${index + 1}`.padStart(3)}  ${stage.join("; ")}`);
      const blocked = result.blockedBy.map((each) => style.bad(`  ${printable(each)}`));
      const isRefused = blocked.length > 0 || result.accept !== null;
      const head = isRefused
        ? style.bad(`A switchover to ${options.to} is refused now:`)
        : style.strong(`The plan for a switchover to ${options.to}`);
      const costs = result.costs.flatMap(renderCost).map(style.warning);
      const accept =
        result.accept === null
          ? []
          : [
              `To hand the role over all the same: lifeboat switchover --to ${options.to} --accept ${shellQuoted(result.accept)}`,
            ];
      const lines = [head, ...blocked, ...costs, ...accept.map(printable), ...stages];
      return { json: result, text: lines.join("\n"), exit: isRefused ? 11 : 0 };
    },
  });
}

const DID: Readonly<Record<string, string>> = {
  follow: "follows the primary: its data is part of the primary's past",
  delta: "was brought to the vault's newest point in place, and follows the primary",
  restore: "was restored from the vault, and follows the primary",
};

const OLD_DATA_TEXT =
  "Started to look at, it follows nobody, confirms and archives nothing, and is reached through its folder alone, by the settings at " +
  "the end of its postgresql.auto.conf; take them out where it is to be more. Of a replica it lets you read.";

function lookSteps(folder: string): string {
  const on = shellQuoted(folder);
  return renderFacts([
    ["start it, as its owner", `pg_ctl -D ${on} -l ${shellQuoted(`${folder}/lifeboat-old.log`)} -w -t 86400 start`],
    ["connect", `psql -h ${on}`],
    ["stop it", `pg_ctl -D ${on} stop`],
  ]);
}

/** `rebuild`. */
export function rebuildVerb(engine: FailoverEngine): Verb {
  return defineVerb({
    path: ["rebuild"],
    summary: "Make a node that is down or has diverged a replica again",
    description:
      "By the least force that works: a node whose data is part of the primary's past only follows; else what differs from the " +
      "vault is written over in place; an empty folder is restored into. What is written over or removed is kept aside until " +
      "the node streams, WAL that only this node has for good. The node that is the primary is refused. The daemon does this by " +
      "itself after a failover.",
    arguments: { node: required(choice(NODES), "The node.") },
    options: {
      oldDataInto: optional(
        text("FOLDER"),
        "Rebuild nothing: write the data that the node had before, as long as it is kept, into this empty folder.",
      ),
    },
    configuration: CONFIGURATION,
    examples: [
      { line: "lifeboat rebuild db", does: "The old primary streams again." },
      {
        line: "lifeboat rebuild db --old-data-into /var/tmp/old-db",
        does: "The rebuild does not get anywhere: what was there before, as it was.",
      },
    ],
    run: async ({ arguments: { node }, options: { oldDataInto }, session }) => {
      if (oldDataInto !== undefined) {
        const old = await engine.putBack({ config: await session.config(), session, node, folder: oldDataInto });
        const { style } = session;
        const said = `What ${node} had before ${old.keptAt} is in ${printable(old.folder)}, from ${printable(old.aside)} and the vault.`;
        return { json: { node, ...old }, text: `${style.good(said)}\n${OLD_DATA_TEXT}\n\n${lookSteps(old.folder)}` };
      }
      const { did, durationMs } = await engine.rebuild({ config: await session.config(), session, node });
      const said = session.style.good(`${node} ${DID[did] ?? did}, after ${describeDuration(durationMs)}.`);
      return { json: { node, did, durationMs }, text: said };
    },
  });
}
