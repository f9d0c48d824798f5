import { defineErrors, EXIT } from "../entry.ts";

export const restoreErrors = defineErrors({
  "restore.target-not-empty": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The restore target holds files, which could be somebody's only copy; nothing was touched.",
  },
  "restore.target-in-vault": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The restore target lies in the folder of the vault or of the spool, or holds it; nothing was touched.",
  },
  "restore.target-in-use": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A server runs on the restore target, or on a folder that it leads to; nothing was touched.",
  },
  "restore.other-system": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The data directory to be brought to a backup's state is of another system; nothing was touched.",
  },
  "restore.target-changed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The data directory changed after it was compared with the backup; what changed was not touched.",
  },
  "restore.wal-link-broken": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The data directory's pg_wal is a link that leads to no folder; nothing was touched.",
  },
  "restore.no-backup": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The vault has no backup from which the wanted point can be reached.",
  },
  "restore.point-out-of-reach": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The wanted point lies outside of what the vault holds; the message names what can be reached.",
  },
  "restore.not-a-transaction": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The wanted transaction is a part of another one, and recovery stops only at the end of a whole one.",
  },
  "restore.wal-gap": {
    kind: "world",
    exit: EXIT.damaged,
    meaning:
      "WAL between the backup and the wanted point is missing; the message names the gap and what can be reached.",
  },
  "restore.history-lost": {
    kind: "world",
    exit: EXIT.damaged,
    meaning:
      "The vault holds WAL of a timeline and has lost that timeline's history: the newest point cannot be told, or no server recovers along it.",
  },
  "restore.image-incomplete": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "A backup's manifest lacks a file that every cluster has.",
  },
  "restore.point-not-reached": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "Recovery ended before the planned point, or would: the WAL before it is damaged.",
  },
  "restore.feed-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "WAL that a recovery waited for could not be fed to it; the server stopped there and can go on later.",
  },
  "restore.feed-busy": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Another process feeds WAL to this folder's recovery.",
  },
  "restore.nothing-to-feed": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The folder holds no recovery that waits for WAL to be fed.",
  },
  "restore.no-space": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The file system of the restore target, or of what a rebuild keeps aside, has too little space; nothing was changed.",
  },
  "restore.only-copy": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "The data directory to be brought to the vault's newest point has commits of its newest timeline that no restore from the vault reaches; nothing was touched.",
  },
  "restore.tablespace-unmapped": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The backup has a tablespace and the restore was not told where to put it.",
  },
  "restore.tablespace-in-wal": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "WAL that would be replayed creates a tablespace in a folder of this machine that is not the restore's own; that folder was not touched.",
  },
  "restore.version-mismatch": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The PostgreSQL installation is of another major version than the backup.",
  },
});
