/** Poolers by their addresses: for whoever drives them and for the watchdog, under the same names. */
import type { ProcessUser } from "../platform/processes.ts";
import { consoleOf, consolesOf } from "./console.ts";
import { PgBouncer, type PoolerTools } from "./pgbouncer.ts";
import type { ServerAddress } from "./pooler.ts";
import type { WatchedPooler } from "./watchdog.ts";

/** Where an instance is. */
export type PoolerPlace = {
  readonly console: ServerAddress;
  /** The console role's. */
  readonly password: string | undefined;
  /** What its pgbouncer.ini includes. */
  readonly databasesFile: string;
  /** Whom the lock is given to; undefined: it stays ours. */
  readonly owner: ProcessUser | undefined;
};

/** A driver. Nothing is opened before its first call; closing it is the caller's. */
export function openPooler(tools: PoolerTools, place: PoolerPlace): PgBouncer {
  const { databasesFile, owner, password } = place;
  const consoles = consolesOf({ ...place.console, password });
  return new PgBouncer(tools, { name: nameOf(place), ...consoles, databasesFile, owner });
}

/** An instance for the watchdog. */
export function watchedPooler(place: PoolerPlace): WatchedPooler {
  const { databasesFile, owner, password } = place;
  return { name: nameOf(place), console: consoleOf({ ...place.console, password }), databasesFile, owner };
}

function nameOf({ console: { host, port } }: PoolerPlace): string {
  return `${host}:${port}`;
}
