import { defineErrors, EXIT } from "../entry.ts";

export const backupErrors = defineErrors({
  "backup.checksum-failed": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The server found a bad page checksum while it sent the backup; nothing was announced.",
  },
  "backup.stream-malformed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The base backup that the server sent cannot be read; nothing was announced.",
  },
  "backup.manifest-mismatch": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "What arrived of a base backup is not what the server says it sent; nothing was announced.",
  },
  "backup.foreign-system": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The vault holds backups of another database system; nothing was stored.",
  },
  "backup.file-skipped": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "The server left a part of its data out of the backup, a link as a rule; nothing was announced.",
  },
  "backup.database-moved": {
    kind: "world",
    exit: EXIT.world,
    meaning:
      "A database was moved to another tablespace, or copied by its files from one that was dropped or changed, while the backup ran, twice: it would be restored empty or incomplete; nothing was announced.",
  },
  "backup.timeline-changed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server was promoted while it sent the backup; nothing was announced.",
  },
  "backup.wal-not-covered": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The WAL that a backup needs did not reach the vault in time; the backup was not announced.",
  },
  "backup.pack-lost": {
    kind: "world",
    exit: EXIT.world,
    meaning:
      "A pack that a backup stored or kept went from the vault while it was taken; the backup was not announced.",
  },
  "backup.version-unsupported": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The server's version or block size is not one that Lifeboat backs up.",
  },
});
