/**
 * Makes the golden vault `vault-1-delta`, and says what must be in it: what format version 1 has and `vault-1` has not.
 *
 * A delta over a full backup; two data keys, the second of which seals what is new of the delta; wraps of both versions, for a
 * passphrase, recovery keys, an age recipient and a holder who was left out of the second key; WAL with commits; the restore
 * program of then; a hold, and the note of a holder who was removed. Made as `vault-1` is, but for the age wraps: the library
 * that seals them takes its random bytes from the machine.
 */
import { type BackupTools, takeBackup } from "../../src/backup/backup.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { formatLsn, type Lsn, lsnAdd, type SystemId, segmentName, type Timeline } from "../../src/postgres/lsn.ts";
import { putHold } from "../../src/retention/holds.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import { addHolder, removeHolder, rotateDataKey } from "../../src/vault/key-ring.ts";
import { NO_STRETCH } from "../../src/vault/keys.ts";
import { initVault, openVault, type Vault } from "../../src/vault/vault.ts";
import { putHistory, putSegment } from "../../src/vault/wal-store.ts";
import { type SyntheticRecord, writeSyntheticWal } from "../support/synthetic-wal.ts";
import { fixedRandom, GOLDEN_PASSPHRASE, steppingClock } from "./make-vault.ts";
import {
  connectSynthetic,
  noise,
  type SyntheticFile,
  type SyntheticServer,
  syntheticControlFile,
  syntheticPage,
} from "./synthetic-server.ts";

/** What opens the first data key alone. */
export const GOLDEN_FIRST_PASSPHRASE = "golden, the first key";
/** What opens both, with the pin that the making printed. */
export const GOLDEN_IDENTITY = "AGE-SECRET-KEY-176D8E3SGRPWEMJMJ6U3AR0E5GCPT06VKFEWMK6D6M00WS344UWRS2RT2C4";
/** Its public half. */
export const GOLDEN_RECIPIENT = "age12wjre8d6d2x94nm9nfa8frpt06tw9fa0mr5relma22fu44hz7ukqudx9v7";

const MIB = 1024 * 1024;
const MODIFIED_S = Date.UTC(2026, 10, 23, 8, 0, 0) / 1000;
const facts = { systemId: "7441234567890123457" as SystemId, timeline: 2 as Timeline, walSegmentBytes: MIB };
const history = "1\t0/200000\tno recovery target specified\n";

// --- WAL --------------------------------------------------------------------------------------------------------------

/** When the first transaction was committed; the other ones at so many seconds later. */
export const GOLDEN_FIRST_COMMIT_MS = Date.UTC(2026, 10, 23, 8, 0, 0);
const EPOCH_MS = Date.UTC(2000, 0, 1);

function commit(xid: number, laterS: number): SyntheticRecord {
  const time = Buffer.alloc(8);
  time.writeBigInt64LE(BigInt(GOLDEN_FIRST_COMMIT_MS + laterS * 1000 - EPOCH_MS) * 1000n);
  return { rmgr: 1, info: 0, xid, mainData: time };
}

function restorePoint(name: string): SyntheticRecord {
  const data = Buffer.alloc(72);
  data.write(name, 8);
  return { rmgr: 0, info: 0x70, xid: 0, mainData: data };
}

/** Fills most of a segment, and crosses into the next one. */
const bulk: SyntheticRecord = { rmgr: 10, info: 0, xid: 100, mainData: Buffer.alloc(700 * 1024, 1) };

const WAL_START = BigInt(3 * MIB) as Lsn;
const script = [
  ...[commit(100, 0), commit(101, 1)],
  ...[commit(102, 60), bulk, commit(103, 120), bulk],
  ...[commit(104, 180), commit(105, 181)],
  ...[commit(106, 300), restorePoint("golden"), bulk, commit(107, 400)],
];
const wal = writeSyntheticWal({ ...facts, start: WAL_START, magic: 0xd113, systemId: BigInt(facts.systemId) }, script);

/** Where each transaction's commit lies, and where it ends; by its id. */
export const GOLDEN_COMMITS: ReadonlyMap<number, { readonly lsn: Lsn; readonly end: Lsn }> = new Map(
  script.flatMap(({ rmgr, xid }, index) => {
    const laid = wal.records[index];
    if (rmgr !== 1 || laid === undefined) return [];
    return [[xid, { lsn: lsnAdd(WAL_START, BigInt(laid.start)), end: lsnAdd(WAL_START, BigInt(laid.end)) }]];
  }),
);

/** Its segments, by name. */
export const GOLDEN_DELTA_SEGMENTS: ReadonlyMap<string, Buffer> = new Map(
  Array.from({ length: wal.bytes.byteLength / MIB }, (_, index) => [
    segmentName({ ...facts, lsn: lsnAdd(WAL_START, BigInt(index * MIB)) }),
    wal.bytes.subarray(index * MIB, (index + 1) * MIB),
  ]),
);

function placeOf(xid: number): { readonly lsn: Lsn; readonly end: Lsn } {
  const place = GOLDEN_COMMITS.get(xid);
  if (place === undefined) throw new Error(`no transaction ${xid} was committed`);
  return place;
}

// --- The server, then and later ---------------------------------------------------------------------------------------

function file(path: string, content: Buffer | string): SyntheticFile {
  return { kind: "file", path, mode: 0o600, modifiedS: MODIFIED_S, content: Buffer.from(content) };
}

function folder(path: string): SyntheticFile {
  return { kind: "folder", path, mode: 0o700, modifiedS: MODIFIED_S };
}

const ZERO_PAGE = Buffer.alloc(8192);
const oldPage = (number: number): Buffer =>
  number === 3 ? ZERO_PAGE : syntheticPage(`page ${number}`, `0/2${String(number).padStart(2, "0")}008`);
/** Behind the full backup's start. */
const newPage = (number: number): Buffer => syntheticPage(`page ${number}, later`, formatLsn(placeOf(103).end));
const pagesOf = (count: number, draw: (number: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, number) => draw(number)));
const CHANGED = new Set([1, 3, 17, 20, 21]);

const everywhere: readonly SyntheticFile[] = [
  folder("base"),
  folder("base/5"),
  folder("global"),
  folder("pg_wal"),
  folder("pg_tblspc"),
  file("PG_VERSION", "16\n"),
  file("base/5/PG_VERSION", "16\n"),
  file("base/5/16386", noise("the same in both", 700)),
  file("global/pg_control", syntheticControlFile(facts)),
];

/** The server at the time of the full backup. */
export const GOLDEN_EARLIER: SyntheticServer = {
  ...facts,
  history,
  startLsn: placeOf(100).lsn,
  endLsn: placeOf(101).end,
  tablespaces: [],
  files: [
    ...everywhere,
    file("backup_label", `START WAL LOCATION: ${formatLsn(placeOf(100).lsn)} (file 000000020000000000000003)\n`),
    file("base/5/16384", pagesOf(20, oldPage)),
    file("base/5/16385", pagesOf(2, oldPage)),
    file("base/5/16384_fsm", noise("fsm", 300)),
  ],
};

/** The same server at the time of the delta: pages changed, filled and added, a file gone, a file more. */
export const GOLDEN_LATER: SyntheticServer = {
  ...facts,
  history,
  startLsn: placeOf(104).lsn,
  endLsn: placeOf(105).end,
  tablespaces: [],
  files: [
    ...everywhere,
    file("backup_label", `START WAL LOCATION: ${formatLsn(placeOf(104).lsn)} (file 000000020000000000000004)\n`),
    file(
      "base/5/16384",
      pagesOf(22, (number) => (CHANGED.has(number) ? newPage(number) : oldPage(number))),
    ),
    file("base/5/16384_fsm", noise("fsm, later", 300)),
    file("base/5/16390", pagesOf(2, newPage)),
  ],
};

// --- Making it --------------------------------------------------------------------------------------------------------

/** What a making hands over: what it made, and what opens it. */
export type GoldenDeltaVault = {
  readonly store: Store;
  /** Opens the first data key. */
  readonly firstRecoveryKey: string;
  /** Opens both. */
  readonly recoveryKey: string;
  /** Names the first data key, which vouches for the second. */
  readonly pin: string;
};

/** Makes the vault; equal on every call but for the age wraps, as long as the code and its zstd are. */
export async function makeGoldenDeltaVault(): Promise<GoldenDeltaVault> {
  const clock = steppingClock(GOLDEN_FIRST_COMMIT_MS);
  const store = openMemoryStore({ clock: steppingClock(GOLDEN_FIRST_COMMIT_MS) });
  const tools = { store, clock, random: fixedRandom("golden vault 1, delta"), stretchCost: NO_STRETCH };
  const secret = { kind: "passphrase", passphrase: GOLDEN_PASSPHRASE } as const;
  const made = await initVault({ ...tools, files: systemFiles }, secret, {});
  const full = await takeGoldenBackup(made.vault, GOLDEN_EARLIER, 1);
  const holder = { kind: "age", recipient: GOLDEN_RECIPIENT } as const;
  const { pin = "" } = await addHolder(tools, secret, { holder, label: "off-site" }, {});
  const first = { kind: "passphrase", passphrase: GOLDEN_FIRST_PASSPHRASE } as const;
  await addHolder(tools, secret, { holder: first, label: "before the rotation" }, {});
  const gone = await addHolder(tools, secret, { holder: { ...first, passphrase: "gone" }, label: "gone" }, {});
  await removeHolder(tools, secret, gone.wrapId, {});
  const { recoveryKey = "" } = await rotateDataKey(tools, secret, {});
  const vault = await openVault(tools, secret, {});
  const delta = await takeGoldenBackup(vault, GOLDEN_LATER, 2);
  if (delta.parent !== full.backupId) throw new Error(`the delta is a full backup: ${delta.whyFull}`);
  await storeSegments(vault, GOLDEN_DELTA_SEGMENTS.size);
  await putHold(vault, { scope: full.backupId, reason: "golden" }, {});
  return { store, firstRecoveryKey: made.recoveryKey ?? "", recoveryKey, pin };
}

/** Takes a backup of a server, with so many of its segments in the vault. */
export function takeGoldenBackup(
  vault: Vault,
  server: SyntheticServer,
  segmentCount: number,
  changes: Partial<BackupTools> = {},
) {
  return takeBackup(
    {
      vault,
      clock: vault.clock,
      connection: connectSynthetic(server),
      wal: {
        begin: async () => undefined,
        covered: () => storeSegments(vault, segmentCount),
        between: {
          holds: async () => "held",
          settings: async ({ to }) => ({ kind: "same", reached: to }),
          unsoundCopy: async () => undefined,
        },
      },
      outsideFiles: [],
      onProgress: () => undefined,
      ...changes,
    },
    { label: "golden", checkpoint: "fast", compression: { level: 3 }, adoptSystem: false },
    {},
  );
}

async function storeSegments(vault: Vault, count: number): Promise<void> {
  for (const [segment, bytes] of [...GOLDEN_DELTA_SEGMENTS].slice(0, count)) {
    await putSegment(vault, { ...facts, segment, bytes }, {});
  }
  await putHistory(vault, { ...facts, content: Buffer.from(history) }, {});
}
