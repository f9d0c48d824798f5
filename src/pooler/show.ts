/** Reads the answers of SHOW. Pure. Source: PgBouncer, "usage", "SHOW commands", of 1.18 and 1.24. */
import { LifeboatError } from "../errors/error.ts";
import type { ConsoleRow } from "./console.ts";
import { CONSOLE_DATABASE, isSameServer, type PooledDatabase, type ServerAddress } from "./pooler.ts";

/** What SHOW POOLS says, of all pools together. */
export type PoolTotals = {
  readonly clientsWaiting: number;
  readonly waitMs: number;
  readonly serversActive: number;
  readonly serversIdle: number;
  readonly serversLoggingIn: number;
};

/** Adds up the pools. */
export function readPools(rows: readonly ConsoleRow[]): PoolTotals {
  const pools = rows.filter((row) => row.get("database") !== CONSOLE_DATABASE);
  const sum = (...columns: readonly string[]): number =>
    pools.reduce((total, row) => total + columns.reduce((each, column) => each + numberOf(row, column), 0), 0);
  const waits = pools.map((row) => numberOf(row, "maxwait") * 1_000 + numberOf(row, "maxwait_us") / 1_000);
  return {
    clientsWaiting: sum("cl_waiting"),
    waitMs: Math.round(Math.max(0, ...waits)),
    // A server that is tested runs a statement too, and a pause waits for it.
    serversActive: sum("sv_active", "sv_tested"),
    serversIdle: sum("sv_idle", "sv_used"),
    serversLoggingIn: sum("sv_login"),
  };
}

/** Where the databases lead, and which of them are paused by themselves. */
export function readShownDatabases(rows: readonly ConsoleRow[]): {
  readonly databases: readonly PooledDatabase[];
  readonly paused: readonly string[];
} {
  const ours = rows.filter((row) => row.get("name") !== CONSOLE_DATABASE);
  return {
    databases: ours.map((row) => ({
      name: textOf(row, "name"),
      server: { host: textOf(row, "host"), port: numberOf(row, "port") },
    })),
    paused: ours.filter((row) => numberOf(row, "paused") !== 0).map((row) => textOf(row, "name")),
  };
}

/**
 * The clients whose statements are with a server: SHOW SERVERS names each one's client by its address in memory, SHOW CLIENTS
 * gives that with the number that KILL_CLIENT takes (1.24 and newer; undefined before).
 */
export function clientsOn(
  server: ServerAddress,
  shown: { readonly servers: readonly ConsoleRow[]; readonly clients: readonly ConsoleRow[] },
): readonly { readonly id: string | undefined }[] {
  const links = new Set(
    shown.servers
      .filter((row) => isSameServer(server, { host: textOf(row, "addr"), port: numberOf(row, "port") }))
      .map((row) => textOf(row, "link"))
      .filter((link) => link !== ""),
  );
  return shown.clients.filter((row) => links.has(textOf(row, "ptr"))).map((row) => ({ id: row.get("id") }));
}

/** SHOW STATE, of 1.19 and newer. */
export function readStatePaused(rows: readonly ConsoleRow[]): boolean {
  const row = rows.find((each) => each.get("key") === "paused");
  if (row === undefined) throw unreadable("SHOW STATE", "key paused");
  return row.get("value") === "yes";
}

/**
 * What a refusal of `PAUSE pgbouncer` says, which is always refused: under the global pause because it is paused, else because
 * the console cannot be. The only way to see the global pause before 1.19 without changing anything.
 */
export function readRefusedPause(words: string): boolean {
  if (/already (suspended|paused)/.test(words)) return true;
  if (/cannot pause admin/.test(words)) return false;
  throw unreadable(`PAUSE ${CONSOLE_DATABASE}`, `a refusal that is known, but ${JSON.stringify(words)}`);
}

function textOf(row: ConsoleRow, column: string): string {
  const value = row.get(column);
  if (value === undefined) throw unreadable("SHOW", `column ${column}`);
  return value;
}

function numberOf(row: ConsoleRow, column: string): number {
  const value = Number(textOf(row, column));
  if (!Number.isSafeInteger(value) || value < 0) throw unreadable("SHOW", `number in ${column}`);
  return value;
}

function unreadable(command: string, what: string): LifeboatError {
  return new LifeboatError("pooler.refused", {
    message: `a pooler's answer to ${command} holds no ${what}`,
    remedy: "Lifeboat knows PgBouncer 1.18 to 1.25; see which version this is.",
  });
}
