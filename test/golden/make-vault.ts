/**
 * Makes the golden vault of format version 1, and says what must be in it.
 *
 * The real backup code stores what a synthetic server sends; clock and random bytes are fixed, so equal code makes equal
 * bytes. The vault in `vault-1` was made once and is never made again: later code must read it as it is.
 */
import { type OutsideFile, takeBackup } from "../../src/backup/backup.ts";
import type { Clock, Instant, Monotonic } from "../../src/platform/clock.ts";
import type { RandomSource } from "../../src/platform/random.ts";
import { parseLsn, type SystemId, segmentName, type Timeline } from "../../src/postgres/lsn.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import { initVault, type Vault } from "../../src/vault/vault.ts";
import { putHistory, putSegment } from "../../src/vault/wal-store.ts";
import {
  connectSynthetic,
  noise,
  type SyntheticFile,
  type SyntheticServer,
  syntheticControlFile,
  syntheticPage,
  syntheticSegment,
} from "./synthetic-server.ts";

/** What opens the golden vault. */
export const GOLDEN_PASSPHRASE = "golden";

const BEGUN_MS = Date.UTC(2026, 10, 22, 22, 15, 30);
const MODIFIED_S = Date.UTC(2026, 10, 22, 22, 0, 0) / 1000;
const ZERO_PAGE = Buffer.alloc(8192);
const facts = {
  systemId: "7441234567890123456" as SystemId,
  timeline: 2 as Timeline,
  walSegmentBytes: 1024 * 1024,
};

/** The server that was backed up. */
export const GOLDEN_SERVER: SyntheticServer = {
  ...facts,
  startLsn: parseLsn("0/300028"),
  endLsn: parseLsn("0/300100"),
  history: "1\t0/200000\tno recovery target specified\n",
  tablespaces: [{ oid: 16400, location: "/srv/tablespace" }],
  files: goldenFiles(),
};

/** Files from outside of its data directory. */
export const GOLDEN_OUTSIDE: readonly OutsideFile[] = [
  { name: "postgresql.conf", content: Buffer.from("port = 5432\n") },
  { name: "pg_hba.conf", content: Buffer.from("local all all peer\n") },
];

/** The one segment of WAL. */
export const GOLDEN_SEGMENT = {
  segment: segmentName({ ...facts, lsn: parseLsn("0/300000") }),
  bytes: syntheticSegment({ ...facts, start: parseLsn("0/300000") }),
};

/** Makes the vault; equal on every call, as long as the code and its zstd are. */
export async function makeGoldenVault(): Promise<{ readonly store: Store; readonly recoveryKey: string }> {
  const clock = steppingClock(BEGUN_MS);
  const store = openMemoryStore({ clock: steppingClock(BEGUN_MS) });
  const secret = { kind: "passphrase", passphrase: GOLDEN_PASSPHRASE } as const;
  const { vault, recoveryKey = "" } = await initVault(
    { store, clock, random: fixedRandom("golden vault 1") },
    secret,
    {},
  );
  await takeBackup(
    {
      vault,
      clock,
      connection: connectSynthetic(GOLDEN_SERVER),
      wal: goldenCoverage(vault),
      outsideFiles: GOLDEN_OUTSIDE,
      onProgress: () => undefined,
    },
    { label: "golden", checkpoint: "fast", compression: { level: 3 }, adoptSystem: false },
    {},
  );
  return { store, recoveryKey };
}

/** Brings the WAL that makes a backup of the server consistent into the vault, at once. */
export function goldenCoverage(vault: Vault) {
  return {
    begin: async () => undefined,
    covered: async () => {
      await putSegment(vault, { ...facts, ...GOLDEN_SEGMENT }, {});
      await putHistory(vault, { ...facts, content: Buffer.from(GOLDEN_SERVER.history) }, {});
    },
  };
}

/** Whole and partly filled chunks, zero pages at the beginning, inside and at the end, empty, equal and torn files. */
function goldenFiles(): readonly SyntheticFile[] {
  const file = (path: string, content: Buffer | string): SyntheticFile => ({
    kind: "file",
    path,
    mode: 0o600,
    modifiedS: MODIFIED_S,
    content: Buffer.from(content),
  });
  const folder = (path: string): SyntheticFile => ({ kind: "folder", path, mode: 0o700, modifiedS: MODIFIED_S });
  const pages = (path: string, count: number, zero: readonly number[]): SyntheticFile => {
    const drawn = Array.from({ length: count }, (_, page) =>
      zero.includes(page)
        ? ZERO_PAGE
        : syntheticPage(`page ${page} of ${path}`, `0/2${String(page).padStart(2, "0")}008`),
    );
    return file(path, Buffer.concat(drawn));
  };
  return [
    folder("pg_tblspc/16400/PG_16_202307071"),
    folder("pg_tblspc/16400/PG_16_202307071/5"),
    pages("pg_tblspc/16400/PG_16_202307071/5/16401", 2, []),
    file("backup_label", "START WAL LOCATION: 0/300028 (file 000000020000000000000003)\n"),
    file("PG_VERSION", "16\n"),
    folder("base"),
    folder("base/5"),
    file("base/5/PG_VERSION", "16\n"),
    pages("base/5/16384", 34, [0, 3, 4, 20, 21, 22, 33]),
    file("base/5/16384_fsm", noise("fsm", 500)),
    file("base/5/16385", ""),
    file("base/5/16386", Buffer.concat([ZERO_PAGE, noise("torn", 100)])),
    pages("base/5/16387", 3, [0, 1, 2]),
    folder("global"),
    pages("global/1262", 3, []),
    // Two pages that do not compress, in a chunk of their own: 32 pages with content lie before them.
    file("base/5/16388", Buffer.concat([noise("pages", 2 * 8192), ZERO_PAGE])),
    folder("pg_xact"),
    file("pg_xact/0000", Buffer.alloc(200_000, Buffer.from("transactions, committed and aborted, "))),
    folder("pg_wal"),
    folder("pg_tblspc"),
    { kind: "link", path: "pg_tblspc/16400", mode: 0o777, modifiedS: MODIFIED_S, target: "/srv/tablespace" },
    file("global/pg_control", syntheticControlFile(facts)),
  ];
}

/** A second passes whenever somebody looks. */
export function steppingClock(beginMs: number): Clock {
  let now = beginMs;
  return {
    now: () => {
      now += 1000;
      return now as Instant;
    },
    monotonic: () => 0 as Monotonic,
    sleep: () => Promise.reject(new Error("nothing waits while a golden vault is made")),
  };
}

/** Bytes that are always the same for a vault of this name. */
export function fixedRandom(name: string): RandomSource {
  let calls = 0;
  return (length) => {
    calls += 1;
    return noise(`${name}, call ${calls}`, length);
  };
}
