/** `lifeboat prune`. */
import type { Config } from "../config/schema.ts";
import { text } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { PruneResult } from "../retention/act.ts";
import type { Blocker, KeepReason, RemovalStage } from "../retention/decide.ts";
import type { PrunePlan, RemovedObject } from "../retention/survey.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { opensForOthers } from "../vault/unopened.ts";
import { printable, type Style } from "./style.ts";
import { renderFacts, renderTable } from "./table.ts";
import { defineVerb, optional, type Session, toggle, type Verb } from "./verb.ts";

/** A plan, and what came of it; `result` is undefined when it was only planned. */
export type Pruned = { readonly plan: PrunePlan; readonly result: PruneResult | undefined };

/** Prunes the configured vault. */
export type PruneConfiguredVault = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly dryRun: boolean;
  /** A backup to remove by its name. */
  readonly remove: string | undefined;
}) => Promise<Pruned>;

/** `prune`. */
export function pruneVerb(prune: PruneConfiguredVault): Verb {
  return defineVerb({
    path: ["prune"],
    summary: "Remove the backups and the WAL that the retention policy lets go",
    description:
      "Keeps the newest backup of each hour, day and week that the policy names, the newest restorable and the newest proven " +
      "backup of every system, manual backups, and whatever is held. What goes gets a tombstone first and is deleted by a prune " +
      "after the grace period; until then `lifeboat backup hold` brings it back. While a record cannot be read nothing is " +
      "deleted (status 5).",
    arguments: {},
    options: {
      dryRun: toggle("Print the plan and change nothing."),
      remove: optional(text("BACKUP"), "Let this backup go too, for example a manual one."),
    },
    configuration: { kind: "checked", sections: ["vault", "folders", "retention"] },
    examples: [
      { line: "lifeboat prune --dry-run", does: "What would go, and why the rest stays." },
      { line: "lifeboat prune", does: "For a timer, once an hour or a day." },
      { line: "lifeboat prune --remove 20261122t221530z-9f3a61c2", does: "Also this one." },
    ],
    run: async ({ options, session }) => {
      const pruned = await prune({ config: await session.config(), session, ...options });
      const { blockedBy } = pruned.plan.decision;
      return {
        json: prunedJson(pruned),
        text: renderPruned(pruned, session.style),
        exit:
          pruned.plan.damage.length > 0
            ? EXIT.damaged
            : blockedBy !== undefined && blockedBy.kind !== "incident"
              ? EXIT.refused
              : 0,
      };
    },
  });
}

const STAGES: Readonly<Record<RemovalStage, string>> = {
  tombstone: "gets a tombstone",
  grace: "waits for its grace",
  "awaits-backup": "waits for a backup under way",
  erase: "is deleted",
};

const REASONS: Readonly<Record<Exclude<KeepReason["kind"], "tier">, string>> = {
  newest: "newest that can be restored",
  "newest-proven": "newest that was proven",
  "proof-unreadable": "its newest proof does not open: it may be the newest that was proven",
  held: "held",
  young: "younger than an hour",
  manual: "manual",
  "none-restorable": "nothing of its system can be restored",
  blocked: "nothing is removed now",
};

/** A prune for people. */
export function renderPruned({ plan, result }: Pruned, style: Style): string {
  const parts: string[] = [];
  const { blockedBy, keep, remove } = plan.decision;
  if (blockedBy !== undefined) parts.push(style.warning(`Nothing is removed: ${blockerText(blockedBy, plan)}.`));
  const unread = plan.damage.filter((reason) => !isUnsettled(reason));
  if (unread.length > 0) {
    parts.push(reasonsText(style.bad("Nothing is deleted while these are missing or cannot be read:"), unread));
    parts.push(damageAdvice(unread));
  }
  const unsettled = plan.damage.filter(isUnsettled);
  if (unsettled.length > 0) parts.push(reasonsText(style.bad("Nothing is deleted while this is so:"), unsettled));
  const rows = [
    ...keep.map(({ backup, reasons }) => [backup.backupId, backup.tier, "stays", reasons.map(reasonText).join(", ")]),
    ...remove.map(({ backup, stage, ...each }) => [
      backup.backupId,
      backup.tier,
      plan.damage.length > 0 ? "is left" : STAGES[stage],
      removalText({ backup, ...each }),
    ]),
  ].sort((a, b) => ((a[0] ?? "") < (b[0] ?? "") ? -1 : 1));
  const columns = ["backup", "tier", "what", "why"].map((title) => ({ title, align: "left" as const }));
  parts.push(rows.length === 0 ? "The vault has no backup." : renderTable(columns, rows, style));
  parts.push(
    renderFacts([
      ["packs to delete", amount(plan.packs)],
      ["WAL segments to delete", amount(plan.wal)],
      ["deleted", result === undefined ? "nothing, this is the plan" : `${result.deletedObjects} objects`],
      ...(result === undefined ? [] : [["freed", describeByteSize(result.freedBytes)] as const]),
    ]),
  );
  return parts.join("\n\n");
}

/** A prune for programs. */
export function prunedJson({ plan, result }: Pruned) {
  const { blockedBy, keep, remove } = plan.decision;
  return {
    blockedBy: blockedBy ?? null,
    damage: plan.damage.map(({ code, message, remedy }) => ({ code, message, remedy })),
    keep: keep.map(({ backup: { systemId, backupId, tier }, reasons }) => ({ systemId, backupId, tier, reasons })),
    remove: remove.map(({ backup: { systemId, backupId, tier }, stage, why }) => ({
      systemId,
      backupId,
      tier,
      stage,
      why,
    })),
    revive: plan.revive,
    tombstone: plan.tombstone,
    erase: plan.erase,
    packs: plan.packs,
    wal: plan.wal,
    walKeepFrom: plan.walKeepFrom,
    holds: plan.holds.map(({ scope, holdId, heldMs, reason }) => ({
      scope,
      holdId,
      heldAt: formatInstant(heldMs as Instant),
      reason: reason ?? null,
    })),
    result: result ?? null,
  };
}

function blockerText(blocker: Blocker, plan: PrunePlan): string {
  if (blocker.kind === "quiet") {
    return `the vault got nothing new since ${formatInstant(blocker.newestStoredMs as Instant)}; check the clock, and whether backups and the receiver run`;
  }
  if (blocker.kind === "leapt") {
    const [from, to, until] = [blocker.newestStoredMs, blocker.resumedMs, blocker.untilMs].map((each) =>
      formatInstant(each as Instant),
    );
    return `the vault got nothing from ${from} to ${to}, so the clock may have leapt; check it: if it is right, nothing is to be done, and what is due is removed from ${until} on`;
  }
  const reasons = plan.holds.flatMap(({ scope, reason }) => (scope === "all" ? [reason ?? "no reason opens"] : []));
  return `everything is held (${printable(reasons.join("; "))}); release it with \`lifeboat backup release --all\``;
}

/** Nothing is damaged that a repair could mend; each message says itself what is to be done. */
function isUnsettled({ code }: PrunePlan["damage"][number]): boolean {
  return code === "retention.records-missing" || code === "retention.begun-ahead";
}

function reasonsText(title: string, reasons: PrunePlan["damage"]): string {
  return [title, ...reasons.map(({ message, code }) => `  ${printable(message)} (${code})`)].join("\n");
}

function damageAdvice(damage: PrunePlan["damage"]): string {
  const lines: string[] = [];
  if (damage.some((reason) => !opensForOthers(reason))) {
    lines.push(
      "Run `lifeboat vault repair` first, and copy back from another copy of the vault what that cannot make again.",
      "Only then let a damaged backup go with `lifeboat prune --remove`.",
    );
  }
  if (damage.some(opensForOthers)) {
    lines.push(
      "What needs another data key, or a newer Lifeboat, is whole for others: prune with a secret that opens all of the vault.",
    );
  }
  return lines.join("\n");
}

function removalText({
  backup,
  why,
  proofFailed,
}: Pick<PrunePlan["decision"]["remove"][number], "backup" | "why" | "proofFailed">): string {
  if (why === "named") return "named";
  if (!backup.restorable) return "lacks WAL of its own";
  return proofFailed ? "failed its proof" : "no window needs it";
}

function reasonText(reason: KeepReason): string {
  return reason.kind === "tier" ? `${reason.tier} ${reason.window}` : REASONS[reason.kind];
}

function amount(objects: readonly RemovedObject[]): string {
  return `${objects.length}, ${describeByteSize(objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))}`;
}
