/** `lifeboat demo`: the main job, watched. */
import type { Config } from "../config/schema.ts";
import { byteSize, choice, whole } from "../config/value-kind.ts";
import { type DemoChoice, type DemoFacts, isProven, type KeptFacts, type RecoveryPart } from "../demo/facts.ts";
import { EXIT } from "../errors/entry.ts";
import type { ByteSize } from "../units/byte-size.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration, formatDuration } from "../units/duration.ts";
import type { Style } from "./style.ts";
import { type Cell, renderFacts, renderTable } from "./table.ts";
import { defineVerb, type Session, toggle, type Verb, withDefault } from "./verb.ts";

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
      "Starts a real PostgreSQL server of its own, backs it up while a client writes, deletes a table's rows by mistake, " +
      "kills the server and deletes its data directory. Then restores it to the last acknowledged write, reads every " +
      "acknowledged write back, and restores once more to just before the mistake. Everything happens in a new folder " +
      "below the sandbox, nothing else on this machine is touched, and nothing is left. Ends with status 5 when in " +
      "quorum mode an acknowledged write is missing, or when the deleted rows are not found again.",
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
        "How long the client writes before the disaster, at least.",
      ),
      pg: withDefault(choice(["15", "16", "17", "18"]), "16", "PostgreSQL's major version."),
      durability: withDefault(
        choice(["quorum", "async"]),
        "quorum",
        "quorum: a commit waits for the vault; async: it does not, the receiver is late, and writes will be missing.",
      ),
      keep: toggle("Keep the folder, leave the restored servers running, and say how to look around."),
    },
    configuration: { kind: "checked", sections: ["folders", "postgres", "receiver", "restore"] },
    examples: [
      { line: "lifeboat demo", does: "About a minute and a half." },
      { line: "lifeboat demo --durability async", does: "See what is lost without quorum." },
      { line: "lifeboat demo --durability async --receiver-delay 5s", does: "See more lost." },
      { line: "lifeboat demo --pg 18 --size 2GiB --seconds 60 --keep", does: "Bigger, and look around afterwards." },
    ],
    run: async ({ options, session }) => {
      const { size, ...rest } = options;
      const config = await session.config();
      const facts = await runDemo({ config, session, choice: { ...rest, sizeBytes: size } });
      const exit = isProven(facts) ? 0 : EXIT.damaged;
      return { json: facts, text: renderDemo(facts, session.style), exit };
    },
  });
}

/** The closing note of a demo for people. */
export function renderDemo(demo: DemoFacts, style: Style): string {
  const blocks = [
    section("Twenty random products of the restored database", demo.titles.join("\n"), style),
    section("Acknowledged writes", renderFacts(writeFacts(demo, style)), style),
    section(
      `Recovery to the newest point: ${describeDuration(demo.recovery.totalMs)}, from the first failed request to the first acknowledged write`,
      renderParts(demo.recovery.parts),
      style,
    ),
    section(
      `Recovery to just before the mistake: ${describeDuration(demo.deletion.durationMs)}, into another folder, on another port`,
      [
        renderParts(demo.deletion.parts),
        renderFacts(deletionFacts(demo, style)),
        "some of them:",
        ...demo.deletion.samples.map((row) => `  ${row}`),
      ].join("\n"),
      style,
    ),
  ];
  if (demo.kept !== undefined) blocks.push(section("Kept for a look", renderKept(demo.kept), style));
  blocks.push(section("Beside the runbook's targets", renderScorecard(demo, style), style), verdict(demo, style));
  return blocks.join("\n\n");
}

function verdict(demo: DemoFacts, style: Style): string {
  const { writes, deletion, durability } = demo;
  if (!deletion.same || deletion.missing > 0) {
    return style.bad(
      "The restore to just before the mistake did not bring back what was there. This is a bug: please report it.",
    );
  }
  if (writes.damaged > 0) {
    return style.bad(
      `${number(writes.damaged)} of ${number(writes.acknowledged)} acknowledged writes are not as they were written. This is a bug: please report it.`,
    );
  }
  if (writes.missing === 0) {
    return style.good(
      `Lost: nothing. All ${number(writes.acknowledged)} acknowledged writes are there after the disaster, and the ${number(deletion.deletedRows)} deleted rows were found again.`,
    );
  }
  const what = `${number(writes.missing)} of ${number(writes.acknowledged)} acknowledged writes are missing, those of the last ${describeDuration(writes.missingSpanMs)} before the kill.`;
  if (durability === "quorum") return style.bad(`${what} In quorum mode none may be. This is a bug: please report it.`);
  const why =
    demo.receiverDelayMs === 0
      ? "the server did not wait for the receiver"
      : `the server did not wait for the receiver, which was ${describeDuration(demo.receiverDelayMs)} late on purpose`;
  return style.warning(
    `${what} That is what async durability means: ${why}. With --durability quorum none is missing.`,
  );
}

function writeFacts({ writes }: DemoFacts, style: Style): readonly (readonly [string, Cell])[] {
  const missing: Cell = { painted: writes.missing === 0 ? style.good("0") : style.bad(number(writes.missing)) };
  return [
    ["acknowledged before the disaster", number(writes.acknowledged)],
    ["missing after the recovery", missing],
    ...(writes.damaged === 0
      ? []
      : [["not as they were written", { painted: style.bad(number(writes.damaged)) }] as const]),
    [
      "sent, never answered",
      `${number(writes.unknown)}: ${number(writes.unknownPresent)} there, ${number(writes.unknown - writes.unknownPresent)} not; nobody was promised either`,
    ],
    ["acknowledged by the restored server", `${number(writes.acknowledgedAfter)}, all read back too`],
    [
      "time to an acknowledgement",
      `half within ${describeDuration(writes.latencyP50Ms)}, 99% within ${describeDuration(writes.latencyP99Ms)}`,
    ],
  ];
}

function deletionFacts({ deletion }: DemoFacts, style: Style): readonly (readonly [string, Cell])[] {
  const found = `${number(deletion.foundRows)} of ${number(deletion.deletedRows)}`;
  return [
    [
      `rows of ${deletion.table} there again`,
      { painted: deletion.same ? style.good(`${found}, checksum equal`) : style.bad(`${found}, checksum differs`) },
    ],
    ["at the newest point, as committed", number(deletion.rowsAtNewestPoint)],
    [
      "writes acknowledged before that moment",
      `${number(deletion.acknowledgedBefore)}, missing: ${number(deletion.missing)}`,
    ],
  ];
}

function renderParts(parts: readonly RecoveryPart[]): string {
  const times = parts.map(({ durationMs }) => describeDuration(durationMs));
  const width = Math.max(0, ...times.map((time) => time.length));
  return parts.map(({ what }, index) => `${(times[index] ?? "").padStart(width)}  ${what}`).join("\n");
}

function renderScorecard(demo: DemoFacts, style: Style): string {
  const columns = ["scenario", "RTO target", "RTO here", "RPO target", "RPO here"];
  const rows = demo.scorecard.map((row) => [
    row.scenario,
    `< ${formatDuration(row.rtoTargetMs)}`,
    judged(describeDuration(row.rtoMs), row.rtoMs < row.rtoTargetMs, style),
    `< ${formatDuration(row.rpoTargetMs)}`,
    judged(
      row.missingWrites === 0 ? "0 writes" : `${number(row.missingWrites)} writes, ${describeDuration(row.rpoMs)}`,
      row.rpoMs < row.rpoTargetMs,
      style,
    ),
  ]);
  const table = renderTable(
    columns.map((title) => ({ title, align: "left" as const })),
    rows,
    style,
  );
  const size = describeByteSize(demo.database.sizeBytes);
  return `${table}\nMeasured with ${size} on this one machine. Not measured: Complete DC Loss, since the vault lies here as well.`;
}

function judged(text: string, met: boolean, style: Style): Cell {
  return { painted: met ? style.good(text) : style.bad(`${text} (missed)`) };
}

function renderKept(kept: KeptFacts): string {
  const { configFile, socketFolder, user, database } = kept;
  const servers = kept.servers.map(
    ({ what, port }) => [what, `psql -h ${socketFolder} -p ${port} -U ${user} ${database}`] as const,
  );
  return renderFacts([
    ["folder", kept.folder],
    ...servers,
    ["its vault", `${kept.command} backups --config ${configFile}`],
    ["what can be restored", `${kept.command} points --config ${configFile}`],
    ["end it all", `sh ${kept.removeScript}`],
  ]);
}

function section(title: string, body: string, style: Style): string {
  return `${style.strong(title)}\n${body.replace(/^(?=.)/gm, "  ")}`;
}

/** With a space between thousands. */
function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, " ");
}
