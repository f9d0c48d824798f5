/**
 * The programs that a benchmark measures against: what is there, and getting what is missing.
 */

import { packLifeboat } from "./backup-tools/lifeboat-package.ts";
import { NEWER_PGBACKREST, newerPgBackRest } from "./backup-tools/newer-pgbackrest.ts";
import { DEBIAN_PGBACKREST, hasPgBackRest, installPgBackRest, pgBackRestVersion } from "./backup-tools/pgbackrest.ts";
import { fetchDebian13, hasDebian13 } from "./debian-13.ts";
import type { PlanFacts } from "./plan.ts";
import { baseName, freeBytes, hasBase, type Place } from "./workload.ts";

type Call = { readonly signal: AbortSignal };

/** Looks at what is there for a plan. */
export async function observe(cacheFolder: string, sizesMib: readonly number[]): Promise<PlanFacts> {
  const basesThere: number[] = [];
  for (const mib of sizesMib) if (await hasBase(cacheFolder, await baseName(mib))) basesThere.push(mib);
  return {
    cacheFolder,
    freeBytes: await freeBytes(cacheFolder),
    pgBackRestInstalled: await hasPgBackRest(),
    newerPgBackRestFetched: await hasDebian13(cacheFolder, NEWER_PGBACKREST),
    basesThere,
  };
}

/** Gets the peers. One that cannot be fetched is told and left out. Throws `Stop` where a person must install one. */
export async function readyPeers<Peer extends string>(
  peers: readonly Peer[],
  cacheFolder: string,
  call: Call,
): Promise<readonly Peer[]> {
  const ready: Peer[] = [];
  for (const peer of peers) {
    if (peer === "pgbackrest") await installPgBackRest(call);
    const why = peer === "pgbackrest-block" ? await fetchDebian13(cacheFolder, NEWER_PGBACKREST, call) : undefined;
    if (why === undefined) ready.push(peer);
    else console.log(`going on without pgBackRest with bundles and blocks, which cannot be fetched: ${why}`);
  }
  return ready;
}

/** Packs Lifeboat into the run folder; returns its version, those of the peers and that of the server. */
export async function readyLifeboat(
  peers: readonly string[],
  place: Place,
  call: Call,
): Promise<Readonly<Record<string, string>>> {
  const newer = newerPgBackRest(place.cacheFolder);
  return {
    lifeboat: await packLifeboat(place, call),
    ...(peers.includes("pgbackrest") ? { pgbackrest: await pgBackRestVersion(DEBIAN_PGBACKREST, call) } : {}),
    ...(peers.includes("pgbackrest-block") ? { "pgbackrest bundle+block": await pgBackRestVersion(newer, call) } : {}),
    postgres: place.installation.version,
  };
}
