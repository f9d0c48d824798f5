/** `lifeboat durability`: how many confirmers a commit waits for, shown and changed. */
import type { Config } from "../config/schema.ts";
import { choice } from "../config/value-kind.ts";
import { type ChangePlan, type ChangeRequest, type DurabilityView, judgeDurability } from "../durability/decide.ts";
import type { ConfirmerRow, DurabilityFacts } from "../durability/facts.ts";
import { DURABILITY_MODES, type DurabilityMode } from "../durability/names.ts";
import { EXIT } from "../errors/entry.ts";
import { LifeboatError } from "../errors/error.ts";
import { formatInstant } from "../platform/clock.ts";
import { describeVersion, firstSafeMinor } from "../postgres/server-version.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import { printable, type Style } from "./style.ts";
import { type Column, renderFacts, renderTable } from "./table.ts";
import { defineVerb, optional, type Session, toggle, type Verb, type VerbResult } from "./verb.ts";

type Call = { readonly config: Config; readonly session: Session };

/** What was seen of the stack, and of which node. */
export type DurabilityLook = DurabilityFacts & { readonly primary: string };

/** A change that was planned, and can be made when nothing has changed meanwhile. */
export type DurabilityChange = Extract<ChangePlan, { readonly kind: "change" }>;

/** Looks at the stack's durability and changes it. */
export type DurabilityEngine = {
  readonly look: (call: Call) => Promise<DurabilityLook>;
  readonly plan: (
    call: Call & { readonly request: ChangeRequest },
  ) => Promise<{ readonly facts: DurabilityLook; readonly plan: ChangePlan }>;
  /** Makes the change that was planned. Rejects with `stack.busy` where the server does not do any more what it did then. */
  readonly change: (
    call: Call & { readonly request: ChangeRequest; readonly planned: DurabilityChange },
  ) => Promise<{ readonly facts: DurabilityLook; readonly stillWaiting: number }>;
};

const COLUMNS: readonly Column[] = [
  { title: "CONFIRMER", align: "left" },
  { title: "STATE", align: "left" },
  { title: "COUNTS AS", align: "left" },
  { title: "BEHIND", align: "right" },
  { title: "SLOT", align: "left" },
];

/** `durability`. */
export function durabilityVerb(engine: DurabilityEngine): Verb {
  return defineVerb({
    path: ["durability"],
    summary: "Show or change how many confirmers a commit of the stack waits for",
    description:
      "Of replica and receiver, a commit waits for none (async), for one of them (quorum), or for both (strict) to have it on " +
      "stable storage. Without a mode: what is described, what is set on the server, what a session gets, and who confirms " +
      "now; status 5 when something of it is wrong. A change is made while clients write, and believed when the server says " +
      "so. A lower mode acknowledges at once what waits: what that means is told, and asked about.",
    arguments: { mode: optional(choice(DURABILITY_MODES), `One of ${DURABILITY_MODES.join(", ")}.`) },
    options: {
      yes: toggle("Accept without being asked what a lower mode means."),
      force: toggle(
        "Also a mode for which too few confirm now, and while the receiver is withdrawn; never while a failover or switchover that is recorded has not ended.",
      ),
    },
    configuration: { kind: "checked", sections: ["stack", "folders", "postgres", "failover"] },
    examples: [
      { line: "lifeboat durability", does: "Who confirms now?" },
      { line: "lifeboat durability strict", does: "Every commit waits for replica and receiver." },
      { line: "lifeboat durability async", does: "When both are gone: acknowledge without them, knowingly." },
    ],
    run: async ({ session, arguments: { mode }, options }) => {
      const call = { config: await session.config(), session };
      if (mode === undefined) return shown(await engine.look(call), undefined, session.style);
      const request = { to: mode, force: options.force };
      const { facts, plan } = await engine.plan({ ...call, request });
      if (plan.kind === "refused") throw refusal(facts, plan, mode);
      if (plan.kind === "nothing") return shown(facts, `Durability is ${mode} already.`, session.style);
      await confirmLowering(plan, { session, yes: options.yes });
      const changed = await engine.change({ ...call, request, planned: plan });
      return shown(changed.facts, changedText(plan, changed.stillWaiting), session.style);
    },
  });
}

/** What a lower mode does to those who wait, and to what comes. */
export function loweringText({ from, to, lowers }: DurabilityChange): string {
  const { waiting, clients } = lowers ?? { waiting: 0, clients: 0 };
  const now =
    waiting === 0 ? "No commit waits now." : `${count(waiting, "commit")} waiting now will be acknowledged at once.`;
  const then =
    to === "async"
      ? "From then on an acknowledged commit may be on the primary alone, and is lost with it: a failover to the replica can lose acknowledged writes."
      : "From then on an acknowledged commit is on the primary and one other, no longer on all three.";
  return `Durability of ${from === "other" ? "what somebody else set" : from} is lowered to ${to}, with ${count(clients, "client session")} connected. ${now} ${then}`;
}

async function confirmLowering(
  plan: DurabilityChange,
  { session, yes }: { readonly session: Session; readonly yes: boolean },
): Promise<void> {
  if (plan.lowers === undefined) return;
  const what = loweringText(plan);
  if (yes) {
    session.notice(what);
    return;
  }
  const { prompt } = session;
  if (prompt === undefined) {
    throw new LifeboatError("config.confirmation-refused", {
      message: `lowering durability to ${plan.to} was not confirmed, and there is no terminal to ask at. ${what}`,
      remedy: `If that is accepted: lifeboat durability ${plan.to} --yes.`,
    });
  }
  await prompt.confirm({ what, word: plan.to });
}

function changedText({ from, to }: DurabilityChange, stillWaiting: number): string {
  const was = from === "other" ? "" : ` (was ${from})`;
  const waits = stillWaiting === 0 ? "" : ` ${count(stillWaiting, "commit")} still wait.`;
  return `Durability is ${to} now${was}; the server says so.${waits}`;
}

function refusal(
  facts: DurabilityLook,
  plan: Extract<ChangePlan, { readonly kind: "refused" }>,
  mode: DurabilityMode,
): LifeboatError {
  switch (plan.reason) {
    case "not-primary":
      return new LifeboatError("durability.not-primary", {
        message: `${facts.primary} follows another server now and takes no writes`,
        remedy: "Run the same command again: it asks for the primary anew.",
      });
    case "failover-under-way":
      return new LifeboatError("durability.failover-under-way", {
        message: `a failover of epoch ${plan.epoch} has told the receiver to confirm nothing: what waits on ${facts.primary} may be on no other node`,
        remedy: `Let it end, or look why it does not: lifeboat failover --check-only. If it is not recorded and nothing is going to be promoted: lifeboat durability ${mode} --force.`,
      });
    case "version-unsafe":
      return new LifeboatError("durability.version-unsafe", {
        message: `${facts.primary} runs ${describeVersion(plan.version)}, whose commits right after a start may not wait for confirmers: ${mode} would be a promise that is not kept`,
        remedy: `Update it to ${firstSafeMinor(plan.version) ?? "PostgreSQL 15, 16, 17 or 18"} or later.`,
      });
    case "name-twice":
      return new LifeboatError("durability.name-twice", {
        message: `${plan.pids.length} connections to ${facts.primary} are named ${plan.name} (processes ${plan.pids.join(", ")}), and either could confirm for it`,
        remedy: `Find out which is not the confirmer and end it; or change all the same: lifeboat durability ${mode} --force.`,
      });
    case "too-few":
      return new LifeboatError("durability.too-few-confirmers", {
        message: `${mode} waits for ${plan.need}, and ${plan.streaming.length === 0 ? "nobody streams" : `only ${plan.streaming.join(" and ")} streams`}: no write would be acknowledged`,
        remedy: `Bring back ${plan.missing.join(" and ")} first; or, to let every write wait for that: lifeboat durability ${mode} --force.`,
      });
  }
}

function shown(facts: DurabilityLook, done: string | undefined, style: Style): VerbResult {
  const view = judgeDurability(facts);
  return {
    json: durabilityJson(facts, view),
    text: renderDurability(facts, view, { done, style }),
    exit: view.faults.length === 0 ? 0 : EXIT.damaged,
  };
}

function durabilityJson({ described, expected, server, primary }: DurabilityLook, view: DurabilityView) {
  return {
    primary,
    described: { ...described, at: described.by === "choice" ? formatInstant(described.at) : null },
    set: { mode: view.set, names: server.setNames ?? null },
    effective: { mode: view.effective, names: server.effectiveNames, synchronousCommit: server.synchronousCommit },
    expected: [...expected.nodes, ...(expected.receiver === undefined ? [] : [expected.receiver])],
    confirming: view.confirming,
    confirmers: server.confirmers.map((each) => ({
      ...each,
      flushed: each.flushed ?? null,
      behindBytes: each.behindBytes ?? null,
      slot: each.slot ?? null,
    })),
    waiting: server.waiting,
    faults: view.faults,
  };
}

/** The durability for people. */
export function renderDurability(
  { described, expected, server, primary }: DurabilityLook,
  view: DurabilityView,
  { done, style }: { readonly done: string | undefined; readonly style: Style },
): string {
  const by = described.by === "choice" ? `chosen ${formatInstant(described.at)}` : "by the configuration";
  const { count: waiting, longestMs } = server.waiting;
  const facts = renderFacts([
    ["primary", primary],
    ["described", `${described.mode}, ${by}`],
    ["set", server.setNames === undefined ? "nothing" : `${view.set}: ${namesText(server.setNames)}`],
    [
      "effective",
      `${view.effective}: ${namesText(server.effectiveNames)}, synchronous_commit ${server.synchronousCommit}`,
    ],
    ["confirm now", view.confirming.length === 0 ? "nobody" : view.confirming.join(", ")],
    [
      "waiting",
      waiting === 0 ? "no commit" : `${count(waiting, "commit")}, the longest for ${describeDuration(longestMs)}`,
    ],
  ]);
  const names = [...expected.nodes, ...(expected.receiver === undefined ? [] : [expected.receiver])];
  const absent = names.filter((name) => !server.confirmers.some((row) => row.name === name));
  const rows = [
    ...server.confirmers.map(rowOf),
    ...absent.map((name) => [name, { painted: style.bad("not connected") }, "", "", ""]),
  ];
  const faults = view.faults.flatMap(({ message, remedy }) => [
    `  ${style.bad(printable(message))}`,
    `    ${printable(remedy)}`,
  ]);
  const head = faults.length === 0 ? [] : [style.bad(`${view.faults.length} wrong:`), ...faults, ""];
  const table = rows.length === 0 ? [] : ["", renderTable(COLUMNS, rows, style)];
  return [...(done === undefined ? [] : [done, ""]), ...head, facts, ...table].join("\n");
}

function rowOf(row: ConfirmerRow): readonly string[] {
  const behind = row.behindBytes === undefined ? "not known" : describeByteSize(row.behindBytes);
  return [row.name, row.state, row.syncState, behind, row.slot ?? "none"];
}

function namesText(names: string): string {
  return names === "" ? "commits wait for nobody" : names;
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}
