/** `lifeboat backup`. */
import { describeWhyFull } from "../backup/decide.ts";
import type { BackupProgress } from "../backup/progress.ts";
import type { Config } from "../config/schema.ts";
import { choice, text } from "../config/value-kind.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { BackupRecord, BackupTier } from "../vault/backups.ts";
import type { ProgressUpdate } from "./progress.ts";
import type { Style } from "./style.ts";
import { renderFacts } from "./table.ts";
import { defineVerb, optional, type Session, toggle, type Verb, withDefault } from "./verb.ts";

/** What is asked of a backup; the rest is configuration. */
export type BackupChoice = {
  readonly label: string;
  readonly tier: BackupTier;
  readonly checkpoint: "fast" | "spread";
  readonly adoptSystem: boolean;
  readonly full: boolean;
};

/** Takes a backup of the configured server into the configured vault. */
export type TakeConfiguredBackup = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly choice: BackupChoice;
}) => Promise<BackupRecord>;

/** Said again, since the vault is not loaded to answer a command line. */
const TIERS = ["hourly", "daily", "weekly", "manual"] as const satisfies readonly BackupTier[];

/** `backup`. */
export function backupVerb(takeBackup: TakeConfiguredBackup): Verb {
  return defineVerb({
    path: ["backup"],
    summary: "Take a backup of the server",
    description:
      "Takes a backup over the replication protocol. Pages that the newest earlier backup has are kept of it where that is safe; " +
      "every backup is complete by itself all the same. It is announced only when everything it needs, WAL included, is " +
      "in the vault and was read back; until then, and after Ctrl-C, there is no trace of it in `lifeboat backups`.",
    arguments: {},
    options: {
      label: optional(text("TEXT"), "What the backup is called in lists. Default: its tier."),
      tier: withDefault(
        choice(TIERS),
        "manual",
        "For which tier of retention it is taken; `lifeboat prune` never removes a manual one because of a newer one.",
      ),
      checkpoint: optional(choice(["fast", "spread"]), "Goes before --backup-checkpoint."),
      full: toggle("Store every page, also those that an earlier backup has."),
      adoptSystem: toggle("Take it although the vault holds backups of another system, for example after pg_upgrade."),
    },
    configuration: { kind: "checked", sections: ["server", "vault", "folders", "receiver", "backup"] },
    examples: [
      { line: "lifeboat backup", does: "Now, as lifeboat.yaml says." },
      { line: "lifeboat backup --tier hourly", does: "For a timer: pruned by its tiers." },
      { line: 'lifeboat backup --label "before the migration"', does: "With a name." },
      { line: "lifeboat backup --checkpoint spread --backup-max-rate 50MiB", does: "Gently, on a busy server." },
    ],
    run: async ({ options, session }) => {
      const config = await session.config();
      const record = await takeBackup({
        config,
        session,
        choice: {
          label: options.label ?? options.tier,
          tier: options.tier,
          checkpoint: options.checkpoint ?? config.backup.checkpoint,
          adoptSystem: options.adoptSystem,
          full: options.full,
        },
      });
      return { json: record, text: renderBackup(record, session.style) };
    },
  });
}

const PHASES: Readonly<Record<BackupProgress["phase"], string>> = {
  checkpoint: "waiting for the checkpoint",
  copy: "copying the server's files",
  store: "storing the last objects",
  wal: "waiting for WAL in the vault",
  announce: "announcing the backup",
};

/** A backup's progress as the screen shows it. */
export function backupUpdate(progress: BackupProgress): ProgressUpdate {
  const phase = PHASES[progress.phase];
  return progress.totalBytes === 0 ? { phase } : { phase, done: progress.doneBytes, total: progress.totalBytes };
}

/** A taken backup for people. */
export function renderBackup(record: BackupRecord, style: Style): string {
  const facts = renderFacts([
    ["label", record.label],
    ["kind", record.whyFull === null ? `delta of ${record.parent}` : `full: ${describeWhyFull(record.whyFull)}`],
    ["tier", record.tier],
    ["system", `${record.systemId}, timeline ${record.timeline}`],
    ["WAL", `${record.startLsn} to ${record.endLsn}`],
    ["size", `${describeByteSize(record.dataBytes)} in ${record.fileCount} files`],
    ["stored", describeByteSize(record.storedBytes)],
    ["took", describeDuration(record.durationMs)],
  ]);
  return `${style.good(`Backup ${record.backupId} can be restored.`)}\n\n${facts}`;
}
