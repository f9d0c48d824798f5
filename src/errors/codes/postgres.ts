import { defineErrors, EXIT } from "../entry.ts";

export const postgresErrors = defineErrors({
  "postgres.protocol": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server sent something that the protocol does not allow, or that could not be read.",
  },
  "postgres.unreachable": { kind: "world", exit: EXIT.world, meaning: "The server does not answer." },
  "postgres.tls-failed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The server offers no TLS, or its certificate could not be verified.",
  },
  "postgres.login-refused": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The server does not let this role in: wrong password, no such role, or no matching line in pg_hba.conf.",
  },
  "postgres.not-permitted": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The role lacks a right on the server, for example REPLICATION.",
  },
  "postgres.version-unsupported": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The server, the programs or the data are of a PostgreSQL version that Lifeboat does not know (15 to 18).",
  },
  "postgres.too-many-connections": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server has no free connection, or no free WAL sender.",
  },
  "postgres.shutting-down": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The server is starting up or shutting down and ended or refused the session.",
  },
  "postgres.connection-lost": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The connection to the server ended in the middle of a command.",
  },
  "postgres.timeout": { kind: "world", exit: EXIT.world, meaning: "The server did not finish a command in its time." },
  "postgres.query-failed": { kind: "world", exit: EXIT.world, meaning: "The server refused or failed a command." },
  "postgres.wal-removed": {
    kind: "world",
    exit: EXIT.notFound,
    meaning: "The server no longer has the WAL or the timeline history that was asked for.",
  },
  "postgres.slot-in-use": {
    kind: "world",
    exit: EXIT.refused,
    meaning: "Another session uses the replication slot.",
  },
  "postgres.slot-missing": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The server has no replication slot of this name.",
  },
  "postgres.slot-unusable": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The replication slot was invalidated (its WAL is gone), or is of another kind.",
  },
  "postgres.installation-missing": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The PostgreSQL programs are not where they were looked for.",
  },
  "postgres.cluster-exists": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The folder for a new cluster already holds files.",
  },
  "postgres.initdb-failed": { kind: "world", exit: EXIT.world, meaning: "A new cluster could not be made." },
  "postgres.setting-invalid": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "A setting has a name or a value that no PostgreSQL configuration file can hold.",
  },
  "postgres.already-running": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "A server already runs in this data folder.",
  },
  "postgres.port-busy": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Something else listens on the port that a local server was given.",
  },
  "postgres.socket-path-too-long": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The path of a local server's Unix socket is longer than the kernel takes, or is not absolute.",
  },
  "postgres.start-failed": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A local server ended instead of starting; the message quotes its log.",
  },
  "postgres.start-timeout": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A local server was started and did not accept connections, or did not finish recovery, in time.",
  },
  "postgres.stop-timeout": {
    kind: "world",
    exit: EXIT.world,
    meaning: "A local server did not end in time after it was told to.",
  },
  "postgres.control-file-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The control file of a cluster (global/pg_control) is not what any server wrote.",
  },
  "postgres.byte-order-unsupported": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The cluster was made on a big-endian machine.",
  },
  "postgres.block-size-unsupported": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The cluster's pages have a size other than 8 KiB.",
  },
  "postgres.backup-label-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The backup_label or tablespace_map of a backup is not what any server wrote.",
  },
});
