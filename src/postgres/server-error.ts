/**
 * Turns what a server reports into our errors, by SQLSTATE and never by its words, which may be translated.
 * Source: PostgreSQL manual, "PostgreSQL Error Codes".
 */
import { type ErrorFacts, LifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import type { ServerReport } from "./wire/answers.ts";
import { quoteIdentifier } from "./wire/outgoing.ts";

/** Whom we talk to, for messages and remedies. */
export type Peer = {
  /** `host:port`, or the path of the Unix socket. */
  readonly name: string;
  readonly user: string;
  /** The database of an ordinary connection; undefined on a replication connection. */
  readonly database: string | undefined;
  /** Our own address as this machine sees it; undefined on a Unix socket. */
  readonly clientAddress: string | undefined;
  readonly encrypted: boolean;
};

/** SQLSTATEs that mean something particular to the command under way. */
export type CodesOfCommand = Readonly<Record<string, ErrorCode>>;

/** What was under way when the report came. */
export type ReportContext = {
  readonly peer: Peer;
  /** A participle: "logging in to db:5432". */
  readonly step: string;
  readonly codes?: CodesOfCommand | undefined;
  readonly details?: ErrorFacts["details"];
};

/** Codes that mean the same in every command. */
const CODES: CodesOfCommand = {
  "28P01": "postgres.login-refused",
  "28000": "postgres.login-refused",
  "42501": "postgres.not-permitted",
  "53300": "postgres.too-many-connections",
  "57014": "postgres.timeout",
  "57P01": "postgres.shutting-down",
  "57P02": "postgres.shutting-down",
  "57P03": "postgres.shutting-down",
};

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  "postgres.too-many-connections",
  "postgres.shutting-down",
  "postgres.slot-in-use",
  "postgres.timeout",
]);

/** The error of a report. The server's words are in message and cause, its SQLSTATE in `details.sqlstate`. */
export function serverError(report: ServerReport, context: ReportContext): LifeboatError {
  const code = context.codes?.[report.sqlstate] ?? CODES[report.sqlstate] ?? "postgres.query-failed";
  const detail = report.detail === undefined ? "" : ` (${report.detail})`;
  return new LifeboatError(code, {
    message: `${context.step} failed: ${report.message}${detail} [SQLSTATE ${report.sqlstate}]`,
    remedy: remedyOf(code, report, context.peer),
    retryable: RETRYABLE.has(code),
    cause: new Error(`${report.severity}: ${report.message}`),
    details: { ...context.details, sqlstate: report.sqlstate, severity: report.severity, server: context.peer.name },
  });
}

/** The error of a connection that ended in the middle of something. */
export function connectionLost(context: { readonly peer: Peer; readonly step: string }, cause: unknown): LifeboatError {
  const reason = cause instanceof Error ? cause.message : "the server closed it";
  return new LifeboatError("postgres.connection-lost", {
    message: `the connection to ${context.peer.name} was lost while ${context.step}: ${reason}`,
    remedy: `Look at the log of the server ${context.peer.name} and at the network, then run the same command again.`,
    retryable: true,
    cause,
    details: { server: context.peer.name },
  });
}

/** The line of pg_hba.conf that would let this peer in. */
export function hbaLine(peer: Peer): string {
  const database = peer.database === undefined ? "replication" : hbaName(peer.database);
  const user = hbaName(peer.user);
  if (peer.clientAddress === undefined) return `local  ${database}  ${user}  scram-sha-256`;
  const address = peer.clientAddress.replace(/^::ffff:(?=[0-9.]+$)/, "");
  const bits = address.includes(":") ? 128 : 32;
  return `${peer.encrypted ? "hostssl" : "host"}  ${database}  ${user}  ${address}/${bits}  scram-sha-256`;
}

function hbaName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`;
}

// The server's refusal of an unencrypted connection reads the same whether or not it would take an encrypted one.
function tlsHint(peer: Peer): string {
  if (peer.encrypted || peer.clientAddress === undefined) return "";
  return " If the line there is hostssl, set server.tls to verify-full or require.";
}

function remedyOf(code: ErrorCode, report: ServerReport, peer: Peer): string {
  switch (code) {
    case "postgres.login-refused":
      return report.sqlstate === "28P01"
        ? `Check the password of role ${quoteIdentifier(peer.user)}: the one Lifeboat was given is not the server's.`
        : `Check that role ${quoteIdentifier(peer.user)} exists with LOGIN, and that pg_hba.conf on the server has the line "${hbaLine(peer)}" (then run SELECT pg_reload_conf()).${tlsHint(peer)}`;
    case "postgres.not-permitted":
      return peer.database === undefined
        ? `As a superuser on the server, run: ALTER ROLE ${quoteIdentifier(peer.user)} REPLICATION LOGIN;`
        : `Give role ${quoteIdentifier(peer.user)} the right that the message names.`;
    case "postgres.too-many-connections":
      return peer.database === undefined
        ? "Raise max_wal_senders on the server (needs a restart), or end a replication connection that is not needed."
        : "Raise max_connections on the server (needs a restart), or end sessions that are not needed.";
    case "postgres.shutting-down":
      return "Wait until the server accepts connections, then run the same command again.";
    case "postgres.wal-removed":
      return "Take a new backup: this stretch of WAL is gone from the server. Use a replication slot so that it is kept from now on.";
    case "postgres.slot-in-use":
      return "If that receiver is gone, with its machine or its network, run on the server SELECT pg_terminate_backend(PID) with the PID that is named here; the server does it itself after wal_sender_timeout. If it lives, end it, or give this one a slot of its own.";
    case "postgres.slot-missing":
      return "Create the slot; WAL from before its creation may be gone, so take a new backup afterwards.";
    case "postgres.slot-unusable":
      return "Drop the slot and create it again as a physical one, then take a new backup: WAL from before it may be gone.";
    case "postgres.timeout":
      return "Look in pg_stat_activity at what held it up, or allow more time.";
    case "backup.checksum-failed":
      return "Do not delete older backups. Find the damaged relation from the blocks named here, restore it from a backup made before the damage, and check the server's disk.";
    default:
      return report.hint ?? "Look at the server's log for what led to this.";
  }
}
