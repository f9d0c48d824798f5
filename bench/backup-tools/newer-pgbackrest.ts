/** pgBackRest with bundles and block incremental backups, which it has since 2.46 and Debian 12 does not have: Debian 13's. */
import { type Debian13Program, debian13File } from "../debian-13.ts";
import type { Base, Place } from "../workload.ts";
import { type PgBackRestBuild, pgBackRest } from "./pgbackrest.ts";

/** What is fetched. */
export const NEWER_PGBACKREST: Debian13Program = {
  title: "pgBackRest",
  packageName: "pgbackrest",
  program: "usr/bin/pgbackrest",
  versionArgument: "version",
};

/** What is driven: the same compression as Debian 12's. */
export function newerPgBackRest(cacheFolder: string): PgBackRestBuild {
  const program = debian13File(cacheFolder, NEWER_PGBACKREST);
  return {
    title: "pgBackRest bundle+block",
    folderName: "pgbackrest-trixie",
    program,
    // It starts itself again by this command: see its option `cmd`.
    settings: ["repo1-bundle=y", "repo1-block=y", `cmd=${program}`],
  };
}

/** pgBackRest with bundles and blocks. */
export function newerPgBackRestTool(place: Place, base: Base) {
  return pgBackRest(newerPgBackRest(place.cacheFolder), place, base);
}
