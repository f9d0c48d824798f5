/** `lifeboat verify`. */
import type { Config } from "../config/schema.ts";
import { choice, location, text } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import type { LifeboatError } from "../errors/error.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { ProofDepth, ProofRecord } from "../vault/proofs.ts";
import { exitOf, failureOf, usageError } from "./failure.ts";
import { printable, type Style } from "./style.ts";
import { renderFacts, renderTable } from "./table.ts";
import { defineVerb, optional, type Session, toggle, type Verb, withDefault } from "./verb.ts";

/** What is to be proven; the rest is configuration. */
export type VerifyChoice = {
  /** Undefined: the newest. */
  readonly backupId: string | undefined;
  readonly all: boolean;
  readonly depth: ProofDepth;
  /** Undefined: the only system of the vault. */
  readonly system: string | undefined;
  /** Undefined: as configured. */
  readonly sandboxFolder: string | undefined;
};

/** A backup that stands proven. */
export type ProvenFacts = { readonly backupId: string; readonly depth: ProofDepth; readonly endedAt: string };

/** A backup whose WAL has a hole, with more WAL after it: the newest point was not shown. */
export type WalGapFacts = {
  readonly backupId: string;
  readonly afterLsn: string;
  readonly firstSegment: string;
  readonly segmentCount: number;
};

/** A backup of which nothing could be said, and why. */
export type UnprovenFacts = { readonly backupId: string; readonly error: LifeboatError };

/** What came of it. */
export type Verified = {
  /** In the order in which they were made. */
  readonly proofs: readonly ProofRecord[];
  readonly walGaps: readonly WalGapFacts[];
  /** Those of several of which nothing could be said. */
  readonly unproven: readonly UnprovenFacts[];
  /** Every backup of the vault that stands proven now, the newest last. */
  readonly proven: readonly ProvenFacts[];
};

/** Proves backups of the configured vault, and records what came of each. */
export type VerifyConfigured = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly choice: VerifyChoice;
}) => Promise<Verified>;

/** One screen holds so many findings of a proof, and so many other backups. */
const FINDINGS_SHOWN_MAX = 10;
const PROVEN_SHOWN_MAX = 5;

/** Said again, since the vault is not loaded to answer a command line. */
const DEPTHS = ["present", "intact", "booted", "checked"] as const satisfies readonly ProofDepth[];

/** `verify`. */
export function verifyVerb(verify: VerifyConfigured): Verb {
  return defineVerb({
    path: ["verify"],
    summary: "Prove a backup by restoring, booting and checking it",
    description:
      "Shows that a backup can be recovered from, and records it in the vault. present: all of it is there. intact: every " +
      "byte opens and is what was stored. booted: restored into a sandbox, recovered to the newest point, written to. " +
      "checked: every page, heap, index and visibility map, and your own invariants. Each shows all before it. The sandbox " +
      "is a server on this machine that nobody else can reach; nothing of it stays. Ends with status 5 when a backup failed. " +
      "With --all, one that cannot be proven here is told at the end, and the others are proven all the same.",
    arguments: { backup: optional(text("BACKUP"), "The backup. Default: the newest.") },
    options: {
      depth: withDefault(choice(DEPTHS), "booted", "How much is shown."),
      all: toggle("Prove every backup, the oldest first."),
      system: optional(text("ID"), "System identifier. Default: the only one of the vault."),
      sandbox: optional(location("folder"), "Where the sandbox lies. Default: folders.sandbox."),
    },
    configuration: { kind: "checked", sections: ["vault", "folders", "restore", "proof", "postgres"] },
    examples: [
      { line: "lifeboat verify", does: "The newest backup comes up and takes writes." },
      { line: "lifeboat verify --depth checked", does: "And nothing in it is damaged, as far as PostgreSQL can tell." },
      { line: "lifeboat verify --all --depth intact", does: "Every byte of every backup; starts no server." },
    ],
    run: async ({ arguments: { backup }, options, session }) => {
      if (backup !== undefined && options.all) {
        throw usageError("a backup and --all were given", "Give one of them.");
      }
      const { all, depth, system, sandbox } = options;
      const verified = await verify({
        config: await session.config(),
        session,
        choice: { backupId: backup, all, depth, system, sandboxFolder: sandbox },
      });
      return { json: verifiedJson(verified), text: renderVerified(verified, session.style), exit: exitOfAll(verified) };
    },
  });
}

/** A backup that failed comes before one of which nothing could be said. */
function exitOfAll({ proofs, unproven }: Verified): number {
  if (proofs.some(({ failedAt }) => failedAt !== null)) return EXIT.damaged;
  return unproven.length === 0 ? 0 : exitOf(failureOf(new AggregateError(unproven.map(({ error }) => error))));
}

function verifiedJson({ proofs, walGaps, unproven, proven }: Verified) {
  const told = unproven.map(({ backupId, error: { code, message, remedy } }) => ({ backupId, code, message, remedy }));
  return { proofs, walGaps, unproven: told, proven };
}

/** Proofs for people: what failed last, where the eye is. */
export function renderVerified({ proofs, walGaps, unproven, proven }: Verified, style: Style): string {
  const passed = proofs.filter(({ failedAt }) => failedAt === null);
  const failed = proofs.filter(({ failedAt }) => failedAt !== null);
  const parts = [...passed, ...failed].map((proof) => {
    const gap = walGaps.find(({ backupId }) => backupId === proof.backupId);
    return renderProof(proof, gap, style);
  });
  parts.push(...unproven.map((each) => renderUnproven(each, style)));
  if (failed.length > 0) parts.push(renderProven(proven, style));
  return parts.join("\n\n");
}

function renderProof(proof: ProofRecord, gap: WalGapFacts | undefined, style: Style): string {
  const { backupId, failedAt, reached, findings, findingCount } = proof;
  const took = proof.phases.map(({ phase, durationMs }) => `${phase} ${describeDuration(durationMs)}`).join(", ");
  const facts = renderFacts([
    ["took", `${describeDuration(proof.durationMs)} (${took})`],
    ["read", describeByteSize(proof.readBytes)],
    ...(proof.pointLsn === null
      ? []
      : ([
          ["restored", describeByteSize(proof.restoredBytes)],
          [
            "recovered to",
            `${proof.pointLsn} on timeline ${proof.pointTimeline ?? 0}, ${describeByteSize(proof.walBytes)} of WAL`,
          ],
          ["by", `PostgreSQL ${proof.serverVersion ?? ""} on ${proof.host}`],
        ] as const)),
    ...(gap === undefined ? [] : ([["not shown", gapText(gap)]] as const)),
    ...(proof.checked === null ? [] : ([["checked", checkedText(proof.checked)]] as const)),
  ]);
  if (failedAt === null) return `${style.good(`Backup ${backupId} is proven: ${reached ?? "nothing"}.`)}\n${facts}`;
  const shown = findings.slice(0, FINDINGS_SHOWN_MAX);
  const columns = ["where", "code", "what is wrong"].map((title) => ({ title, align: "left" as const }));
  const table = renderTable(
    columns,
    shown.map(({ object, code, message }) => [object, code, message]),
    style,
  );
  const more = findingCount > shown.length ? `\nand ${findingCount - shown.length} more` : "";
  const until = reached === null ? "nothing of it was shown" : `${reached} was shown`;
  const count = `${findingCount} ${findingCount === 1 ? "finding" : "findings"}`;
  return `${style.bad(`Backup ${backupId} failed at ${failedAt}: ${count}; ${until}.`)}\n${facts}\n\n${table}${more}`;
}

function gapText({ afterLsn, firstSegment, segmentCount }: WalGapFacts): string {
  const missing = segmentCount === 1 ? firstSegment : `${segmentCount} segments from ${firstSegment}`;
  return `newer points: WAL is missing after ${afterLsn} (${missing})`;
}

function renderUnproven({ backupId, error }: UnprovenFacts, style: Style): string {
  return [
    style.bad(`Backup ${backupId} was not proven: ${printable(error.message)}`),
    `${style.good("remedy:")} ${printable(error.remedy)}`,
    style.faint(`code: ${error.code}`),
  ].join("\n");
}

function checkedText(checked: NonNullable<ProofRecord["checked"]>): string {
  const { databases, pages, heaps, indexes, invariants } = checked;
  return `${databases} databases, ${pages} pages, ${heaps} tables, ${indexes} indexes, ${invariants} invariants`;
}

function renderProven(proven: readonly ProvenFacts[], style: Style): string {
  if (proven.length === 0) {
    return style.bad("No backup is proven now. Take a new one, `lifeboat backup --full`, and prove it.");
  }
  const lines = proven
    .slice(-PROVEN_SHOWN_MAX)
    .toReversed()
    .map(({ backupId, depth, endedAt }) => `  ${backupId}  ${depth}, ${seconds(endedAt)}`);
  const more = proven.length > PROVEN_SHOWN_MAX ? [`  and ${proven.length - PROVEN_SHOWN_MAX} older`] : [];
  return ["Still proven:", ...lines, ...more].map(printable).join("\n");
}

function seconds(iso: string): string {
  return iso.replace(/\.\d+Z$/, "Z");
}
