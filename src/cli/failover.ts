/** `lifeboat failover`, `failover pause` and `failover resume`. */
import type { Config } from "../config/schema.ts";
import { text } from "../config/value-kind.ts";
import type { CheckReport } from "../daemon/check-report.ts";
import type { SwitchoverPreview } from "../daemon/control.ts";
import type { Cost } from "../failover/costs.ts";
import { reasonText } from "../failover/reasons.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import { usageError } from "./failure.ts";
import { printable, type Style } from "./style.ts";
import { renderFacts, renderTable } from "./table.ts";
import { defineVerb, optional, type Session, toggle, type Verb } from "./verb.ts";

type Call = { readonly config: Config; readonly session: Session };

/** What came of an action. */
export type ActionResult = {
  readonly done: boolean;
  readonly epoch: number;
  readonly from: string;
  readonly to: string;
  /** What did not work out and stopped nothing. */
  readonly shortcomings: readonly string[];
  /** Between the beginning of the outage, or of the switchover, and the first write that was acknowledged again. */
  readonly outageMs: number | null;
  readonly reportFile: string | null;
};

/** The data that a node had before it was rebuilt. */
export type OldData = {
  readonly folder: string;
  /** When it was put aside. */
  readonly keptAt: string;
  readonly aside: string;
};

/** Looks, decides and acts: through the stack's daemon where one runs, else by itself. */
export type FailoverEngine = {
  /** With `follow` every other report is told, until the session ends; resolves with the last one. */
  readonly check: (
    call: Call & { readonly follow: ((report: CheckReport) => void) | undefined },
  ) => Promise<CheckReport>;
  readonly promote: (call: Call & { readonly acceptLoss: string | undefined }) => Promise<ActionResult>;
  /** Has this one of two primaries stay, as it is. */
  readonly adopt: (call: Call & { readonly node: string }) => Promise<ActionResult>;
  readonly switchover: (
    call: Call & { readonly to: string; readonly dryRun: boolean; readonly accept: string | undefined },
  ) => Promise<ActionResult | SwitchoverPreview>;
  readonly rebuild: (
    call: Call & { readonly node: string },
  ) => Promise<{ readonly node: string; readonly did: string; readonly durationMs: number }>;
  /** Writes the data that the node had before its rebuild into an empty folder. */
  readonly putBack: (call: Call & { readonly node: string; readonly folder: string }) => Promise<OldData>;
  readonly setMaintenance: (call: Call & { readonly paused: boolean; readonly reason: string }) => Promise<CheckReport>;
};

/** Ends of `--check-only`, for schedulers: 0 is healthy. */
const STATUS: Readonly<Record<CheckReport["state"], number>> = {
  healthy: 0,
  promotable: 10,
  blocked: 11,
  hold: 11,
  "lost-quorum": 11,
  suspect: 12,
  unknown: 12,
};

const CONFIGURATION = { kind: "checked", sections: ["stack", "folders", "postgres", "failover"] } as const;

/** `failover`. */
export function failoverVerb(engine: FailoverEngine): Verb {
  return defineVerb({
    path: ["failover"],
    summary: "Say whether the primary can be replaced, and replace it",
    description:
      "With --check-only it changes nothing: which node would take over, why, what would be lost, what stands in the way. Ends " +
      "with 0 when the primary is healthy, watched by a daemon or with a replica that could take over, and its poolers can be driven, 10 when it is gone and a node can take over, 11 when nothing may be done without a " +
      "person, 12 when too little is known. With --promote it replaces a primary that is gone; it refuses while the primary " +
      "lives: that is what `lifeboat switchover` is for. With --adopt the one of two primaries that is named stays as it is, and the other " +
      "one is stopped: for a node that somebody promoted by hand. The daemon does it by itself in quorum and strict (failover.automatic).",
    arguments: {},
    options: {
      checkOnly: toggle("Look and decide, and change nothing."),
      follow: toggle("With --check-only: go on, and tell every other decision."),
      promote: toggle("Replace the primary, which must be gone."),
      adopt: optional(
        text("NODE"),
        "Of two primaries have this one stay, as it is: one that somebody promoted by hand, or the recorded one where it is down.",
      ),
      acceptLoss: optional(
        text("LOSS"),
        "With --promote: what may be missing afterwards, typed as --check-only states it (for example 8192 bytes, or unknown).",
      ),
    },
    configuration: CONFIGURATION,
    examples: [
      { line: "lifeboat failover --check-only", does: "What would happen, and what it would cost." },
      { line: "lifeboat failover --check-only --follow", does: "The same, live." },
      { line: "lifeboat failover --promote", does: "Replaces a dead primary where nothing acknowledged can be lost." },
    ],
    goesOn: (options) => options.follow,
    run: async ({ options, session }) => {
      const config = await session.config();
      const { adopt: node } = options;
      if ([options.checkOnly, options.promote, node !== undefined].filter(Boolean).length !== 1) {
        throw usageError("none of --check-only, --promote and --adopt was given, or several", "Give one of them.");
      }
      if (node !== undefined) {
        if (options.follow || options.acceptLoss !== undefined) {
          throw usageError("--follow or --accept-loss was given with --adopt", "They go with the other two.");
        }
        const done = await engine.adopt({ config, session, node });
        return { json: done, text: renderAdoption(done, session.style) };
      }
      if (options.promote) {
        if (options.follow) throw usageError("--follow was given with --promote", "It goes with --check-only.");
        const done = await engine.promote({ config, session, acceptLoss: options.acceptLoss });
        return { json: done, text: renderAction(done, "took over from", session.style) };
      }
      if (options.acceptLoss !== undefined) {
        throw usageError("--accept-loss was given with --check-only", "It goes with --promote.");
      }
      const { style, tell } = session;
      const follow = options.follow
        ? (report: CheckReport): void => tell({ json: report, text: `${renderCheck(report, style)}\n` })
        : undefined;
      const report = await engine.check({ config, session, follow });
      const exit = report.state === "healthy" && !isWell(report) ? STATUS.hold : STATUS[report.state];
      // What was followed is told already.
      if (options.follow) return { json: undefined, text: "", exit };
      return { json: report, text: renderCheck(report, style), exit };
    },
  });
}

/** `failover pause`. */
export function failoverPauseVerb(engine: FailoverEngine): Verb {
  return defineVerb({
    path: ["failover", "pause"],
    summary: "No failover by itself until resumed, for maintenance",
    description:
      "Recorded durably: it holds across restarts of the daemon. A person can still promote and switch over.",
    arguments: {},
    options: { reason: optional(text("TEXT"), "Why, for whoever looks.") },
    configuration: CONFIGURATION,
    examples: [{ line: "lifeboat failover pause --reason 'new disks for db'", does: "Before work on the primary." }],
    run: async ({ options, session }) => {
      const call = { config: await session.config(), session, paused: true, reason: options.reason ?? "" };
      const report = await engine.setMaintenance(call);
      return { json: report, text: session.style.warning("Failover is paused. `lifeboat failover resume` ends that.") };
    },
  });
}

/** `failover resume`. */
export function failoverResumeVerb(engine: FailoverEngine): Verb {
  return defineVerb({
    path: ["failover", "resume"],
    summary: "Failover by itself again",
    description: "Ends what `lifeboat failover pause` began.",
    arguments: {},
    options: {},
    configuration: CONFIGURATION,
    examples: [{ line: "lifeboat failover resume", does: "The work is done." }],
    run: async ({ session }) => {
      const call = { config: await session.config(), session, paused: false, reason: "" };
      const report = await engine.setMaintenance(call);
      return { json: report, text: session.style.good("Failover works again.") };
    },
  });
}

function renderAdoption(done: ActionResult, style: Style): string {
  const { from, to, epoch } = done;
  const next =
    from === to ? "The other node is down: lifeboat rebuild makes it a replica." : `${from} is made its replica.`;
  const short = done.shortcomings.map((each) => style.warning(`  ${printable(each)}`));
  return [style.good(`${to} is the primary as it is, epoch ${epoch}. ${next}`), ...short].join("\n");
}

/** What was done, for people. */
export function renderAction(done: ActionResult, did: string, style: Style): string {
  const outage = done.outageMs === null ? "" : ` Clients waited ${describeDuration(done.outageMs)}.`;
  const head = `${done.to} ${did} ${done.from}, epoch ${done.epoch}.${outage}`;
  const short = done.shortcomings.map((each) => style.warning(`  ${printable(each)}`));
  const where = done.reportFile === null ? [] : [`Report: ${done.reportFile}`];
  return [style.good(head), ...short, ...where].join("\n");
}

const HEADS: Readonly<Record<CheckReport["state"], (report: CheckReport) => string>> = {
  healthy: (report) => {
    if (uncountedOf(report).length > 0) {
      return `${report.primary} is the primary and works, and ${uncountedOf(report).join(" and ")} could not take its place.`;
    }
    if (isUnwatched(report)) return `${report.primary} is the primary and works, and nobody watches it.`;
    return leadsAstray(report)
      ? `${report.primary} is the primary and works, but its clients are not all led to it, or could not be led elsewhere.`
      : `${report.primary} is the primary and healthy.`;
  },
  suspect: ({ primary }) => `Something is wrong with ${primary}, for too short a time to act.`,
  promotable: ({ primary, candidate, automatic, reasons }) =>
    reasons.some(({ code }) => code === "promoted-already")
      ? `${candidate} was promoted in place of ${primary}, and that was cut short: ${automatic ? "it is finished by itself" : "lifeboat up finishes it (its daemon), or lifeboat failover --promote"}.`
      : `${primary} is gone. ${candidate} can take over${automatic ? ", and will" : ": lifeboat failover --promote"}.`,
  blocked: ({ primary }) => `${primary} is gone, and nothing may be done without you.`,
  "lost-quorum": ({ primary }) => `${primary} works, and its commits wait: too few confirm them.`,
  hold: (report) =>
    secondPrimariesOf(report).length > 0
      ? `${secondPrimariesOf(report).join(" and ")} takes writes beside ${report.primary}: nothing is done until you choose.`
      : `${report.primary} is not provably gone: look at it.`,
  unknown: () => "Too little is known to say anything.",
};

function secondPrimariesOf({ reasons }: CheckReport): readonly string[] {
  return reasons.flatMap(({ code, node }) => (code === "second-primary" && node !== null ? [node] : []));
}

/** Whether clients are somewhere else than they should be, or would be after a failover. */
function leadsAstray({ reasons }: Pick<CheckReport, "reasons">): boolean {
  return reasons.some(({ code }) => code === "pooler-undriven" || code === "pooler-astray");
}

function isUnwatched({ reasons }: Pick<CheckReport, "reasons">): boolean {
  return reasons.some(({ code }) => code === "no-daemon");
}

function uncountedOf({ reasons }: Pick<CheckReport, "reasons">): readonly string[] {
  return reasons.flatMap(({ code, node }) => (code === "not-counted" && node !== null ? [node] : []));
}

function isWell(report: CheckReport): boolean {
  return report.state === "healthy" && !leadsAstray(report) && !isUnwatched(report) && uncountedOf(report).length === 0;
}

/** A decision, for people. */
export function renderCheck(report: CheckReport, style: Style): string {
  const paintOther = report.state === "suspect" ? style.warning : style.bad;
  const lines = [(isWell(report) ? style.good : paintOther)(HEADS[report.state](report))];
  const say = (reason: CheckReport["reasons"][number]): string => printable(`  ${reasonText(reason)}`);
  lines.push(...report.reasons.map(say));
  lines.push(...secondPrimariesOf(report).map((node) => choiceLine(report, node)));
  if (report.against.length > 0) lines.push("Against it:", ...report.against.map(say));
  if (report.loss !== null) lines.push(lossLine(report.loss));
  for (const { kind, candidate, loss } of report.offers) lines.push(offerLine(kind, candidate, loss));
  lines.push(...report.costs.flatMap((each) => costLines(each, style)));
  if (report.action !== null) lines.push(style.warning(`Under way: ${report.action}`));
  const columns = ["node", "state", "timeline", "flushed", "replayed", "candidate"].map((title) => ({
    title,
    align: "left" as const,
  }));
  const rows = report.nodes.map((node) => [
    node.name === report.primary ? `${node.name} *` : node.name,
    node.state,
    `${node.timeline ?? "?"}`,
    node.flushed ?? "?",
    node.replayed ?? "",
    node.candidate ? "yes" : "",
  ]);
  const { receiver } = report;
  const facts: [string, string][] = [
    ["receiver", `${receiver.state}, at ${receiver.flushed ?? "?"}${receiver.confirms ? ", confirms" : ""}`],
    ...report.poolers.map(({ name, mode, target, problem }): [string, string] => [
      name,
      problem === null
        ? `${mode}, leads to ${target ?? "none of the nodes"}`
        : printable(`cannot be asked: ${problem}`),
    ]),
    ["durability", `${report.durability}, epoch ${report.epoch}`],
  ];
  return [...lines, "", renderTable(columns, rows, style), "", renderFacts(facts)].join("\n");
}

function costLines({ candidate, seenAgoMs, found }: CheckReport["costs"][number], style: Style): readonly string[] {
  if (found.length === 0) return [];
  const ago = seenAgoMs === null || seenAgoMs < COSTS_FRESH_MS ? "" : `, as seen ${describeDuration(seenAgoMs)} ago`;
  return [style.warning(`With ${candidate} as the primary${ago}:`), ...found.flatMap(renderCost)];
}

/** What was seen later than this is as good as now. */
const COSTS_FRESH_MS = 2_000;

/** What something costs beside writes, and what to do about it. */
export function renderCost({ says, remedy }: Pick<Cost, "says" | "remedy">): readonly string[] {
  return [printable(`  ${says}`), printable(`    ${remedy}`)];
}

/** What may be missing, in the words that --accept-loss takes. */
export function statedLoss({ bytesMax }: NonNullable<CheckReport["loss"]>): string {
  return bytesMax === null ? "unknown" : `${bytesMax} bytes`;
}

function lossLine(loss: NonNullable<CheckReport["loss"]>): string {
  if (!loss.possible) return "Nothing that was acknowledged is lost: 0 writes, 0 bytes.";
  if (loss.bytesMax === null) return "How much that was acknowledged would be lost, nobody can tell.";
  const ago = loss.seenAgoMs === null ? "" : `, reckoned from what was seen ${describeDuration(loss.seenAgoMs)} ago`;
  return `At most ${describeByteSize(loss.bytesMax)} of WAL (${loss.bytesMax} bytes) that were acknowledged may be lost${ago}.`;
}

function choiceLine({ primary }: CheckReport, node: string): string {
  return [
    `  To keep what ${primary} has: lifeboat rebuild ${node} (where ${primary} is down, lifeboat failover --adopt ${primary} first).`,
    `  To keep what ${node} has: lifeboat failover --adopt ${node}. What only the other one had stays in the stack's folder.`,
  ].join("\n");
}

function offerLine(kind: string, candidate: string | null, loss: CheckReport["loss"]): string {
  if (kind === "accept-loss" && loss !== null) {
    return `  ${lossLine(loss)} To have ${candidate} take over all the same: lifeboat failover --promote --accept-loss '${statedLoss(loss)}'`;
  }
  if (kind === "restore-from-vault")
    return "  Restore from the vault: lifeboat points, then lifeboat restore --target FOLDER --boot";
  return `  lifeboat failover --promote${candidate === null ? "" : ` would promote ${candidate}`}`;
}
