/**
 * Which relation a path in a data directory belongs to.
 *
 * Source: PostgreSQL manual, "Database File Layout"; src/common/relpath.c.
 */

/** The parts of a relation that lie in files of their own. */
export type RelationFork = "main" | "fsm" | "vm" | "init";

/** One file of a relation. */
export type RelationFile = {
  /** OID of the tablespace; 1663 for base, 1664 for global. */
  readonly tablespaceOid: number;
  /** OID of the database; 0 for shared relations. */
  readonly databaseOid: number;
  readonly relfilenode: number;
  readonly fork: RelationFork;
  /** Number of the segment file, from 0. */
  readonly segment: number;
  /** True for a temporary relation, whose files are named by backend: `t3_16384`. */
  readonly temporary: boolean;
};

const DEFAULT_TABLESPACE_OID = 1663;
const GLOBAL_TABLESPACE_OID = 1664;

const NAME = /^(t\d+_)?(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?$/;
const PLACES: readonly RegExp[] = [
  /^(?<place>global)\/(?<name>[^/]+)$/,
  /^base\/(?<database>\d+)\/(?<name>[^/]+)$/,
  /^pg_tblspc\/(?<tablespace>\d+)\/PG_\d+_\d+\/(?<database>\d+)\/(?<name>[^/]+)$/,
];

/** Reads a path relative to the data directory; undefined when it is no relation's file. */
export function parseRelationPath(path: string): RelationFile | undefined {
  for (const place of PLACES) {
    const groups = place.exec(path)?.groups;
    const name = NAME.exec(groups?.["name"] ?? "");
    if (groups === undefined || name === null) continue;
    const fork = name[3];
    const isGlobal = groups["place"] === "global";
    const tablespaceOid = Number(groups["tablespace"] ?? DEFAULT_TABLESPACE_OID);
    return {
      tablespaceOid: isGlobal ? GLOBAL_TABLESPACE_OID : tablespaceOid,
      databaseOid: Number(groups["database"] ?? 0),
      relfilenode: Number(name[2]),
      fork: fork === "fsm" || fork === "vm" || fork === "init" ? fork : "main",
      segment: Number(name[4] ?? 0),
      temporary: name[1] !== undefined,
    };
  }
  return undefined;
}
