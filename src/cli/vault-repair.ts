/** `lifeboat vault repair`. */
import type { Config } from "../config/schema.ts";
import { location, text } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import { parseProofName, parseWalKey } from "../vault/names.ts";
import type { RepairOutcome } from "../vault/repair.ts";
import type { RepairPlan, RepairStep } from "../vault/repair-plan.ts";
import { printable, type Style } from "./style.ts";
import { renderTable } from "./table.ts";
import { defineVerb, optional, type Session, toggle, type Verb } from "./verb.ts";

/** A plan, and what came of its steps; `outcomes` is undefined when it was only planned. */
export type Repaired = { readonly plan: RepairPlan; readonly outcomes: readonly RepairOutcome[] | undefined };

/** Repairs the configured vault. */
export type RepairConfiguredVault = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly dryRun: boolean;
  /** A file with the history of a timeline. */
  readonly history: string | undefined;
  /** Whose it is; undefined: of the only system that lacks it. */
  readonly system: string | undefined;
}) => Promise<Repaired>;

/** `vault repair`. */
export function vaultRepairVerb(repair: RepairConfiguredVault): Verb {
  return defineVerb({
    path: ["vault", "repair"],
    summary: "Make again what can be made again, and mark what cannot be restored",
    description:
      "Reads the whole vault. Stores damaged WAL again from the receiver's spool, the vault's marker from its copy, and the restore program; makes a damaged announcement again from its " +
      "manifest, sets proofs that do not open aside under quarantine/ once their backup was proven again, and marks backups that cannot be restored. " +
      "No byte is destroyed. Ends with status 5 while damage is left: copy those objects back from another copy of the vault.",
    arguments: {},
    options: {
      dryRun: toggle("Print what would be done and change nothing."),
      history: optional(
        location("file"),
        "A history that the vault has lost, as it lies in pg_wal of a server: 00000002.history. One that what is held contradicts is refused.",
      ),
      system: optional(text("ID"), "The system whose history it is. Default: the only one that lacks it."),
    },
    configuration: { kind: "checked", sections: ["vault", "folders"] },
    examples: [
      { line: "lifeboat vault repair --dry-run", does: "What is damaged, and what could be done." },
      { line: "lifeboat vault repair", does: "Do it." },
      { line: "lifeboat vault repair --history pg_wal/00000002.history", does: "With a history that a server has." },
    ],
    run: async ({ options, session }) => {
      const repaired = await repair({ config: await session.config(), session, ...options });
      return {
        json: repairedJson(repaired),
        text: renderRepaired(repaired, session.style),
        exit: isSound(repaired) ? 0 : EXIT.damaged,
      };
    },
  });
}

const DOES: Readonly<Record<RepairStep["kind"], string>> = {
  "announce-again": "made again from its manifest",
  refill: "stored again",
  "store-again": "stored again",
  "set-aside": "set aside",
  mark: "marked: cannot be restored",
};

/** Nothing is damaged any more: every step mended something, and was done. */
function isSound({ plan, outcomes }: Repaired): boolean {
  const lasting = plan.steps.some(({ kind }) => kind === "mark" || kind === "set-aside");
  const done =
    outcomes === undefined ? plan.steps.length === 0 : outcomes.every(({ failure }) => failure === undefined);
  return done && !lasting && plan.left.length === 0;
}

/** A repair for people. */
export function renderRepaired({ plan, outcomes }: Repaired, style: Style): string {
  if (plan.steps.length === 0 && plan.left.length === 0)
    return style.good("The vault is whole: there is nothing to repair.");
  const rows = plan.steps.map((step, index) => {
    const failure = outcomes?.[index]?.failure;
    const result = outcomes === undefined ? "planned" : failure === undefined ? "done" : `FAILED: ${failure.message}`;
    return [subjectOf(step), DOES[step.kind], printable(result)];
  });
  const left = plan.left.map(({ object, reason }) => [object, leftText(object), printable(reason.message)]);
  const columns = ["object or backup", "what", "result"].map((title) => ({ title, align: "left" as const }));
  const parts = [renderTable(columns, [...rows, ...left], style)];
  if (plan.left.some(({ object }) => parseProofName(object) === undefined)) {
    parts.push(style.warning("Copy what is left back from another copy of the vault: objects never change."));
    if (plan.left.some(({ object }) => parseWalKey(object)?.kind === "history")) {
      parts.push(
        style.warning("A history that a server has in pg_wal is taken from there: --history 00000002.history."),
      );
    }
  }
  return parts.join("\n\n");
}

/** What an operator can do about what is left. */
function leftText(object: string): string {
  const proof = parseProofName(object);
  return proof === undefined ? "nothing can be done" : `left: prove it again, lifeboat verify ${proof.backupId}`;
}

function subjectOf(step: RepairStep): string {
  return step.kind === "mark" ? step.backup.backupId : step.object;
}

/** A repair for programs. */
export function repairedJson({ plan, outcomes }: Repaired) {
  return {
    done: outcomes !== undefined,
    steps: plan.steps.map((step, index) => {
      const failure = outcomes?.[index]?.failure;
      return {
        kind: step.kind,
        object: step.kind === "mark" ? null : step.object,
        backupId: "backup" in step ? step.backup.backupId : null,
        failure: failure === undefined ? null : { code: failure.code, message: failure.message },
      };
    }),
    left: plan.left.map(({ object, reason }) => ({ object, code: reason.code, message: reason.message })),
  };
}
