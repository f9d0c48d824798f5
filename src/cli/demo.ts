/** `lifeboat demo`: the main job, watched. */
import type { Config } from "../config/schema.ts";
import { byteSize, choice, whole } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import type { ByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { Style } from "./style.ts";
import { type Cell, renderFacts, renderTable } from "./table.ts";
import { defineVerb, type Session, toggle, type Verb, withDefault } from "./verb.ts";

/** What is asked of a demo. */
export type DemoChoice = {
  /** Leave servers' folders and the vault for a look. */
  readonly keep: boolean;
  readonly sizeBytes: ByteSize;
  readonly seconds: number;
  readonly pg: "15" | "16" | "17" | "18";
  readonly durability: "async" | "quorum";
};

/** What a demo measured. */
export type DemoFacts = {
  readonly durability: DemoChoice["durability"];
  readonly acknowledgedWrites: number;
  /** Acknowledged and not there after the recovery. */
  readonly missingWrites: number;
  /** From the server's death to healthy clients, and its parts in order. */
  readonly recovery: {
    readonly totalMs: number;
    readonly parts: readonly { readonly what: string; readonly durationMs: number }[];
  };
  /** The second restore: rows that a mistaken DELETE took and that were there again. */
  readonly deletedRows: { readonly deleted: number; readonly found: number };
  /** Beside the targets of the runbook's quick reference. */
  readonly scorecard: readonly {
    readonly scenario: string;
    readonly rtoTarget: string;
    readonly rtoMs: number;
    readonly rpoTarget: string;
    readonly rpo: string;
  }[];
  /** Where everything lies when it was kept. */
  readonly keptFolder: string | undefined;
};

/** Runs the demo. */
export type RunDemo = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly choice: DemoChoice;
}) => Promise<DemoFacts>;

const MIB = 1_048_576;
const SIZE_DEFAULT = (300 * MIB) as ByteSize;

/** `demo`. */
export function demoVerb(runDemo: RunDemo): Verb {
  return defineVerb({
    path: ["demo"],
    summary: "Back up a live server, destroy it, restore it, and count what is missing",
    description:
      "Starts a real PostgreSQL server of its own, backs it up while a client writes, kills it and deletes its data " +
      "directory, restores it to the last acknowledged write, reads every acknowledged write back, and measures. " +
      "Nothing else on this machine is touched. Ends with status 5 when an acknowledged write is missing in quorum mode.",
    arguments: {},
    options: {
      size: withDefault(
        byteSize({ min: MIB as ByteSize, max: (64 * 1024 * MIB) as ByteSize }),
        SIZE_DEFAULT,
        "How much data to make.",
      ),
      seconds: withDefault(
        whole("SECONDS", { min: 1, max: 3600 }),
        20,
        "How long the client writes before the disaster.",
      ),
      pg: withDefault(choice(["15", "16", "17", "18"]), "16", "PostgreSQL's major version."),
      durability: withDefault(
        choice(["quorum", "async"]),
        "quorum",
        "quorum: a commit waits for the vault; async: it does not, and writes will be missing.",
      ),
      keep: toggle("Keep all folders and say where they are."),
    },
    configuration: { kind: "checked", sections: ["folders", "postgres"] },
    examples: [
      { line: "lifeboat demo", does: "About two minutes." },
      { line: "lifeboat demo --durability async", does: "See what is lost without quorum." },
      { line: "lifeboat demo --pg 18 --size 2GiB --seconds 60 --keep", does: "Bigger, and look around afterwards." },
    ],
    run: async ({ options, session }) => {
      const { size, ...rest } = options;
      const config = await session.config();
      const facts = await runDemo({ config, session, choice: { ...rest, sizeBytes: size } });
      const lost = facts.durability === "quorum" && facts.missingWrites > 0;
      return { json: facts, text: renderDemo(facts, session.style), exit: lost ? EXIT.damaged : 0 };
    },
  });
}

/** The closing note of a demo for people. */
export function renderDemo(demo: DemoFacts, style: Style): string {
  const missing: Cell = {
    painted: demo.missingWrites === 0 ? style.good("0") : style.bad(String(demo.missingWrites)),
  };
  const parts = [
    renderFacts([
      ["acknowledged writes", String(demo.acknowledgedWrites)],
      ["missing after recovery", missing],
      ["recovery took", describeDuration(demo.recovery.totalMs)],
      ...demo.recovery.parts.map(({ what, durationMs }) => [`  ${what}`, describeDuration(durationMs)] as const),
      ["deleted rows found again", `${demo.deletedRows.found} of ${demo.deletedRows.deleted}`],
    ]),
    renderTable(
      ["scenario", "RTO target", "RTO here", "RPO target", "RPO here"].map((title) => ({
        title,
        align: "left" as const,
      })),
      demo.scorecard.map((row) => [row.scenario, row.rtoTarget, describeDuration(row.rtoMs), row.rpoTarget, row.rpo]),
      style,
    ),
  ];
  if (demo.keptFolder !== undefined) parts.push(`Kept in ${demo.keptFolder}`);
  return parts.join("\n\n");
}
