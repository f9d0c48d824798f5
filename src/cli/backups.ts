/** `lifeboat backups`. */
import type { Config } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { majorOf, minorOf } from "../postgres/server-version.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { BackupListing } from "../vault/backups.ts";
import type { Style } from "./style.ts";
import { renderTable } from "./table.ts";
import { defineVerb, type Session, toggle, type Verb } from "./verb.ts";

/** Lists the backups of the configured vault. */
export type ListConfiguredBackups = (call: {
  readonly config: Config;
  readonly session: Session;
}) => Promise<BackupListing>;

const COLUMNS = [
  { title: "backup", align: "left" },
  { title: "label", align: "left" },
  { title: "tier", align: "left" },
  { title: "finished", align: "left" },
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
      "Lists the backups of the vault, oldest first, and apart from them those whose record is damaged (status 5). With " +
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
export function renderListing(listing: BackupListing, style: Style): string {
  const rows = listing.backups.map((backup) => [
    backup.backupId,
    backup.label,
    backup.tier,
    seconds(backup.endedAt),
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
export function listingJson(listing: BackupListing) {
  const tombstoned = listing.tombstoned.map(({ tombstonedMs, ...each }) => ({
    ...each,
    tombstonedAt: formatInstant(tombstonedMs as Instant),
  }));
  return {
    backups: listing.backups,
    tombstoned,
    unfinished: listing.unfinished.map(({ startedMs, ...each }) => ({
      ...each,
      startedAt: formatInstant(startedMs as Instant),
    })),
    damaged: listing.damaged.map(({ reason, ...each }) => ({ ...each, code: reason.code, message: reason.message })),
  };
}

function versionText(serverVersion: number): string {
  return `${majorOf(serverVersion)}.${minorOf(serverVersion)}`;
}

function seconds(iso: string): string {
  return iso.replace(/\.\d+Z$/, "Z");
}
