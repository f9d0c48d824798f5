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
    meaning: "The server's major version is older than 15.",
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
});
