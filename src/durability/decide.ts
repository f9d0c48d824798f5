/** Whether commits are as durable as described, and whether a change of mode is safe. Pure. */
import { commitsWaitAfterStart, describeVersion, firstSafeMinor } from "../postgres/server-version.ts";
import { commitsWait, overrideRisk, RESET_COMMITS } from "../postgres/waiting-commits.ts";
import type { ConfirmerRow, DurabilityFacts } from "./facts.ts";
import {
  CONFIRMATIONS,
  confirmerNames,
  type DurabilityMode,
  modeOfNames,
  sameName,
  sameSyncNames,
  synchronousStandbyNames,
} from "./names.ts";

/** A commit that has waited for so long is not delayed: it is stuck. */
const WAIT_MS_MAX = 5_000;

/** Something that is wrong, with a stable code and a remedy. */
export type DurabilityFault = { readonly code: string; readonly message: string; readonly remedy: string };

/** What the facts come to. */
export type DurabilityView = {
  readonly described: DurabilityMode;
  /** What is in the server's files; `other`: nothing that Lifeboat sets. */
  readonly set: DurabilityMode | "other";
  /** What a commit of an ordinary session gets. */
  readonly effective: DurabilityMode | "other";
  /** Those who confirm now, by name. */
  readonly confirming: readonly string[];
  readonly faults: readonly DurabilityFault[];
};

/** Judges. */
export function judgeDurability(facts: DurabilityFacts): DurabilityView {
  const { server, described } = facts;
  const named = modeOfNames(server.effectiveNames);
  return {
    described: described.mode,
    set: modeOfNames(server.setNames ?? ""),
    effective: commitsWait(server.synchronousCommit) ? named : "async",
    confirming: confirmingRows(facts).map(({ name }) => name),
    faults: [
      ...descriptionFaults(facts),
      ...settingFaults(facts),
      ...nameFaults(facts),
      ...confirmerFaults(facts),
      ...versionFaults(facts),
    ],
  };
}

/** The names that a mode means here. */
export function wantedNames({ expected }: Pick<DurabilityFacts, "expected">, mode: DurabilityMode): string {
  return synchronousStandbyNames(mode, expected);
}

/** What a change needs. */
export type ChangeRequest = { readonly to: DurabilityMode; readonly force: boolean };

/** What a change will do, or why it must not be done. */
export type ChangePlan =
  /** The server and the description say so already. */
  | { readonly kind: "nothing" }
  | { readonly kind: "refused"; readonly reason: "not-primary" }
  | { readonly kind: "refused"; readonly reason: "failover-under-way"; readonly epoch: number }
  | { readonly kind: "refused"; readonly reason: "version-unsafe"; readonly version: number }
  | { readonly kind: "refused"; readonly reason: "name-twice"; readonly name: string; readonly pids: readonly number[] }
  | {
      readonly kind: "refused";
      readonly reason: "too-few";
      readonly need: number;
      readonly streaming: readonly string[];
      readonly missing: readonly string[];
    }
  | {
      readonly kind: "change";
      readonly from: DurabilityMode | "other";
      readonly to: DurabilityMode;
      readonly names: string;
      /** Set when commits will wait for fewer than now: what it does to those that wait, and to those to come (rule B13). */
      readonly lowers: { readonly waiting: number; readonly clients: number } | undefined;
    };

/** Plans a change of mode. */
export function planChange(facts: DurabilityFacts, { to, force }: ChangeRequest): ChangePlan {
  const { server, described } = facts;
  if (server.inRecovery) return { kind: "refused", reason: "not-primary" };
  // What waits there must not be acknowledged: the node that is about to be promoted may not have it (rule B13).
  if (facts.withdrawnBy !== undefined && !force) {
    return { kind: "refused", reason: "failover-under-way", epoch: facts.withdrawnBy };
  }
  const names = wantedNames(facts, to);
  const settled = sameSyncNames(server.effectiveNames, names) && sameSyncNames(server.setNames ?? "", names);
  const said = server.setNames !== undefined && described.mode === to;
  if (settled && said) return { kind: "nothing" };
  const need = CONFIRMATIONS[to];
  if (need > 0 && !commitsWaitAfterStart(server.version)) {
    return { kind: "refused", reason: "version-unsafe", version: server.version };
  }
  if (need > 0 && !force) {
    const twice = namedTwice(facts)[0];
    if (twice !== undefined) return { kind: "refused", reason: "name-twice", ...twice };
    const streaming = streamingRows(facts).map(({ name }) => name);
    const missing = confirmerNames(facts.expected).filter((name) => !streaming.some((each) => sameName(each, name)));
    if (streaming.length < need) return { kind: "refused", reason: "too-few", need, streaming, missing };
  }
  const from = modeOfNames(server.effectiveNames);
  // What somebody set by hand may wait for more than it seems: taking it away is told like any lowering.
  const lowers = !settled && (from === "other" ? to !== "strict" : CONFIRMATIONS[from] > need);
  const cost = { waiting: server.waiting.count, clients: server.clientCount };
  return { kind: "change", from, to, names, lowers: lowers ? cost : undefined };
}

function descriptionFaults({ described, server }: DurabilityFacts): readonly DurabilityFault[] {
  const effective = modeOfNames(server.effectiveNames);
  if (effective === described.mode) return [];
  const found = effective === "other" ? `has ${quoted(server.effectiveNames)}` : `does ${effective}`;
  return [
    {
      code: "not-as-described",
      message: `described is ${described.mode}, the server ${found}`,
      remedy: `For what is described: lifeboat durability ${described.mode}.${effective === "other" ? "" : ` To keep what the server does: lifeboat durability ${effective}.`}`,
    },
  ];
}

function settingFaults({ server, described }: DurabilityFacts): readonly DurabilityFault[] {
  const faults: DurabilityFault[] = [];
  if (!sameSyncNames(server.setNames ?? "", server.effectiveNames)) {
    const why = server.setError === undefined ? "" : `: ${server.setError}`;
    faults.push({
      code: "not-loaded",
      message: `the server's files have ${quoted(server.setNames ?? "")}, its sessions ${quoted(server.effectiveNames)}${why}`,
      remedy: `Set it again: lifeboat durability ${described.mode}; a restart would change it without a word.`,
    });
  }
  if (CONFIRMATIONS[described.mode] === 0) return faults;
  if (!commitsWait(server.synchronousCommit)) {
    faults.push({
      code: "commits-do-not-wait",
      message: `synchronous_commit is ${server.synchronousCommit}: commits are acknowledged before a confirmer has them on stable storage`,
      remedy: `On the server: ${RESET_COMMITS}`,
    });
  }
  for (const override of server.overrides) {
    const risk = overrideRisk(override);
    if (risk !== undefined) faults.push({ code: "commits-do-not-wait", ...risk });
  }
  return faults;
}

function nameFaults(facts: DurabilityFacts): readonly DurabilityFault[] {
  const { described, server } = facts;
  const wanted = wantedNames(facts, described.mode);
  const sameMode = modeOfNames(server.effectiveNames) === described.mode;
  if (!sameMode || sameSyncNames(server.effectiveNames, wanted)) return [];
  return [
    {
      code: "other-names",
      message: `commits wait for ${quoted(server.effectiveNames)}, described is ${quoted(wanted)}`,
      remedy: `For what is described: lifeboat durability ${described.mode}.`,
    },
  ];
}

function confirmerFaults(facts: DurabilityFacts): readonly DurabilityFault[] {
  const { server, expected } = facts;
  const faults: DurabilityFault[] = namedTwice(facts).map(({ name, pids }) => ({
    code: "name-twice",
    message: `${pids.length} connections are named ${name} (processes ${pids.join(", ")}): any of them counts for it`,
    remedy: "Find out which is not the confirmer and end it; a copy or a sandbox must not run under its name.",
  }));
  const need = waitedFor(facts);
  if (need === 0) return faults;
  const confirming = confirmingRows(facts).map(({ name }) => name);
  const missing = confirmerNames(expected).filter((name) => !confirming.some((each) => sameName(each, name)));
  if (confirming.length < need) {
    faults.push({
      code: "nobody-confirms",
      message: `commits wait for ${need}, and ${confirming.length === 0 ? "nobody confirms" : `only ${confirming.join(", ")} confirms`}: ${server.waiting.count} wait now, and no write is acknowledged`,
      remedy: `Bring back ${missing.join(" or ")}. To acknowledge without, knowing that it can be lost: lifeboat durability ${need === 2 && confirming.length === 1 ? "quorum" : "async"}.`,
    });
    return faults;
  }
  if (missing.length > 0) {
    faults.push({
      code: "confirmer-missing",
      message: `${missing.join(" and ")} ${missing.length === 1 ? "does" : "do"} not confirm; commits wait for ${confirming.join(" and ")} alone`,
      remedy: `Bring back ${missing.join(" and ")}: one more loss and no write is acknowledged.`,
    });
  }
  if (server.waiting.longestMs > WAIT_MS_MAX) {
    faults.push({
      code: "commits-wait-long",
      message: `${server.waiting.count} commits wait for confirmers, the longest for ${Math.round(server.waiting.longestMs / 1000)} s`,
      remedy: `Look at the disks of ${confirming.join(" and ")} and the network to them: lifeboat replication. To acknowledge without, knowing that it can be lost: lifeboat durability async.`,
    });
  }
  return faults;
}

function versionFaults({ server, described }: DurabilityFacts): readonly DurabilityFault[] {
  if (CONFIRMATIONS[described.mode] === 0 || commitsWaitAfterStart(server.version)) return [];
  return [
    {
      code: "version-unsafe",
      message: `the server is ${describeVersion(server.version)}: commits right after a start may not wait for confirmers`,
      remedy: `Update it to ${firstSafeMinor(server.version) ?? "a supported version"} or later; until then no acknowledged commit is promised to survive.`,
    },
  ];
}

/** How many confirmers the server waits for as it is now. */
function waitedFor({ server }: DurabilityFacts): number {
  const mode = modeOfNames(server.effectiveNames);
  return mode === "other" ? 0 : CONFIRMATIONS[mode];
}

/** Expected confirmers that stream and that the server counts. One that has reported no position has confirmed nothing yet (rule B9). */
function confirmingRows(facts: DurabilityFacts): readonly ConfirmerRow[] {
  return streamingRows(facts).filter(
    ({ syncState, flushed }) => (syncState === "quorum" || syncState === "sync") && flushed !== undefined,
  );
}

/** Expected confirmers that stream, each name once. */
function streamingRows({ server, expected }: DurabilityFacts): readonly ConfirmerRow[] {
  return confirmerNames(expected).flatMap((name) => {
    const row = server.confirmers.find((each) => sameName(each.name, name) && each.state === "streaming");
    return row === undefined ? [] : [row];
  });
}

/** Expected names that more than one connection has (incident I17). */
function namedTwice({ server, expected }: DurabilityFacts): readonly { name: string; pids: readonly number[] }[] {
  return confirmerNames(expected).flatMap((name) => {
    const pids = server.confirmers.filter((each) => sameName(each.name, name)).map(({ pid }) => pid);
    return pids.length > 1 ? [{ name, pids }] : [];
  });
}

function quoted(names: string): string {
  return names === "" ? "no names" : `"${names}"`;
}
