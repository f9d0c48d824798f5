/** `lifeboat backups`. */
import type { Config } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { majorOf, minorOf } from "../postgres/server-version.ts";
import type { Standing } from "../proof/decide.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { BackupListing } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import type { Style } from "./style.ts";
import { type Cell, renderTable } from "./table.ts";
import { defineVerb, type Session, toggle, type Verb } from "./verb.ts";

/** The backups of a vault, and what was shown of each. */
export type BackupsFacts = BackupListing & { readonly standings: ReadonlyMap<BackupId, Standing> };

/** Lists the backups of the configured vault. */
export type ListConfiguredBackups = (call: {
  readonly config: Config;
  readonly session: Session;
}) => Promise<BackupsFacts>;

const COLUMNS = [
  { title: "backup", align: "left" },
  { title: "label", align: "left" },
  { title: "tier", align: "left" },
  { title: "finished", align: "left" },
  { title: "proof", align: "left" },
  { title: "system", align: "left" },
  { title: "server", align: "right" },
  { title: "size", align: "right" },
  { title: "stored", align: "right" },
  { title: "took", align: "right" },
] as const;

/** `backups`. */
export function backupsVerb(listBackups: ListConfiguredBackups): Verb {
  return defineVerb({
    path: ["backups"],
    summary: "List the backups that can be restored",
    description:
      "Lists the backups of the vault, oldest first, with the newest proof of each, and apart from them those whose record is damaged (status 5). With " +
      "--all also what is under way or was cut short, which takes up room but is no backup, and what a prune is to delete.",
    arguments: {},
    options: { all: toggle("Show also what is under way, was cut short, or is about to be deleted.") },
    configuration: { kind: "checked", sections: ["vault"] },
    examples: [
      { line: "lifeboat backups", does: "What there is." },
      { line: "lifeboat backups --json | jq -r '.backups[-1].backupId'", does: "The newest backup's name." },
    ],
    run: async ({ options, session }) => {
      const listing = await listBackups({ config: await session.config(), session });
      return {
        json: listingJson(listing),
        text: renderListing(options.all ? listing : { ...listing, unfinished: [], tombstoned: [] }, session.style),
        exit: listing.damaged.length === 0 ? 0 : EXIT.damaged,
      };
    },
  });
}

/** A listing for people. */
export function renderListing(listing: BackupsFacts, style: Style): string {
  const rows = listing.backups.map((backup) => [
    backup.backupId,
    backup.label,
    backup.tier,
    seconds(backup.endedAt),
    proofCell(listing.standings.get(backup.backupId), style),
    backup.systemId,
    versionText(backup.serverVersion),
    describeByteSize(backup.dataBytes),
    describeByteSize(backup.storedBytes),
    describeDuration(backup.durationMs),
  ]);
  const parts = [rows.length === 0 ? "The vault has no backup yet." : renderTable(COLUMNS, rows, style)];
  if (listing.tombstoned.length > 0) {
    const lines = listing.tombstoned.map(
      (each) =>
        `  ${each.backupId}, ${each.announced ? "restorable again after `lifeboat backup hold`" : "being deleted"}, since ${seconds(formatInstant(each.tombstonedMs as Instant))}`,
    );
    parts.push([style.warning("To be deleted:"), ...lines].join("\n"));
  }
  if (listing.unfinished.length > 0) {
    const lines = listing.unfinished.map(
      (each) => `  ${each.backupId}, begun ${seconds(formatInstant(each.startedMs as Instant))}`,
    );
    parts.push([style.warning("Under way or cut short:"), ...lines].join("\n"));
  }
  if (listing.damaged.length > 0) {
    const lines = listing.damaged.map((each) => `  ${each.backupId}: ${each.reason.message} (${each.reason.code})`);
    parts.push([style.bad("Damaged:"), ...lines].join("\n"));
  }
  return parts.join("\n\n");
}

/** A listing for programs. */
export function listingJson(listing: BackupsFacts) {
  const tombstoned = listing.tombstoned.map(({ systemId, backupId, announced, record, tombstonedMs }) => ({
    ...{ systemId, backupId, announced, record },
    tombstonedAt: formatInstant(tombstonedMs as Instant),
  }));
  return {
    backups: listing.backups.map((backup) => ({
      ...backup,
      proof: standingJson(listing.standings.get(backup.backupId)),
    })),
    tombstoned,
    unfinished: listing.unfinished.map(({ startedMs, ...each }) => ({
      ...each,
      startedAt: formatInstant(startedMs as Instant),
    })),
    damaged: listing.damaged.map(({ reason, ...each }) => ({ ...each, code: reason.code, message: reason.message })),
  };
}

/** The newest proof that stands: its depth, when, and that it failed if it did. */
function proofCell(standing: Standing | undefined, style: Style): Cell {
  if (standing === undefined || standing.kind === "none") return "none";
  if (standing.kind === "unreadable") return { painted: style.bad("unreadable") };
  const at = seconds(standing.proof.endedAt);
  if (standing.kind === "proven") return `${standing.depth} ${at}`;
  return { painted: style.bad(`FAILED ${standing.proof.failedAt ?? ""} ${at}`) };
}

function standingJson(standing: Standing | undefined) {
  if (standing === undefined || standing.kind === "none") return null;
  if (standing.kind === "unreadable") return { standing: standing.kind };
  const { proofId, endedAt, asked, failedAt, findings } = standing.proof;
  const depth = standing.kind === "proven" ? standing.depth : null;
  return { standing: standing.kind, depth, proofId, endedAt, asked, failedAt, findings };
}

function versionText(serverVersion: number): string {
  return `${majorOf(serverVersion)}.${minorOf(serverVersion)}`;
}

function seconds(iso: string): string {
  return iso.replace(/\.\d+Z$/, "Z");
}
