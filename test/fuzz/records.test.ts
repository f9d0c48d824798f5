/**
 * Every record that another program, another version or somebody's hand may have written, given nearly right: it is read, or
 * refused with an error that is no bug.
 */
import assert from "node:assert/strict";
import { systemClock } from "../../src/platform/clock.ts";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { ConsoleRow } from "../../src/pooler/console.ts";
import { parseDatabases } from "../../src/pooler/databases-file.ts";
import { readPoolerAnswer } from "../../src/pooler/pooler-answers.ts";
import { readPools, readRefusedPause, readShownDatabases, readStatePaused } from "../../src/pooler/show.ts";
import type { Lsn, SystemId, Timeline } from "../../src/postgres/lsn.ts";
import { readAside } from "../../src/restore/aside.ts";
import { listHolds, putHold } from "../../src/retention/holds.ts";
import { putTombstone, readTombstoneWhy } from "../../src/retention/tombstones.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import { sealBlob } from "../../src/vault/blob.ts";
import {
  backupName,
  holdName,
  keyWrapName,
  parseBackupName,
  parseHoldName,
  parseKeyWrapName,
  parseProofName,
  parseWalKey,
  proofName,
  segmentKey,
  VAULT_MARKER,
  VAULT_MARKER_COPY,
} from "../../src/vault/names.ts";
import { listProofs, putProof } from "../../src/vault/proofs.ts";
import { getBlob, initVault, openVault } from "../../src/vault/vault.ts";
import { readMandate, writeMandate } from "../../src/wal/mandate.ts";
import { readSpoolState, writeSpoolState } from "../../src/wal/spool-state.ts";
import {
  bytesLine,
  digestLine,
  parseBytes,
  parseDigest,
  parseWithdrawal,
  withdrawalLine,
} from "../../src/witness/protocol.ts";
import { DEAR, fuzz } from "../support/fuzzing.ts";
import { syntheticProof } from "../support/proofs.ts";

// --- What a pooler and a witness answer -------------------------------------------------------------------------------

/** Rows of the console as `name=value` lines, an empty line between two. */
function rowsOf(bytes: Buffer): readonly ConsoleRow[] {
  const rows = bytes.toString("latin1").split("\n\n");
  return rows.map((each) => new Map(each.split("\n").map((line) => line.split("=", 2) as [string, string])));
}

const pools =
  "database=shop cl_waiting=1 maxwait=0 maxwait_us=17 sv_active=1 sv_tested=0 sv_idle=2 sv_used=0 sv_login=0";
fuzz("the pools of a pooler", [Buffer.from(pools.replaceAll(" ", "\n"))], (bytes) => readPools(rowsOf(bytes)));
fuzz("the databases of a pooler", [Buffer.from("name=shop\nhost=127.0.0.1\nport=5432\npaused=0")], (bytes) =>
  readShownDatabases(rowsOf(bytes)),
);
fuzz("the state of a pooler", [Buffer.from("key=active\nvalue=yes\n\nkey=paused\nvalue=no")], (bytes) =>
  readStatePaused(rowsOf(bytes)),
);
fuzz("a pooler's refusal to pause", [Buffer.from("ERROR: cannot pause admin db: pgbouncer")], (bytes) =>
  readRefusedPause(bytes.toString("latin1")),
);
fuzz("an error of a pooler", [Buffer.from("server conn crashed?")], (bytes) => readPoolerAnswer(`${bytes}`));
const leads = ";; lifeboat-pooler-databases 1 epoch=3\nshop = host=127.0.0.1 port=5432 dbname=shop\n";
fuzz("where a pooler leads", [Buffer.from(leads)], (bytes) => parseDatabases(`${bytes}`));

const withdrawal = withdrawalLine({
  epoch: 3,
  held: {
    systemId: "7000" as SystemId,
    timeline: 1 as Timeline,
    history: "",
    walSegmentBytes: 1024,
    rangeFrom: 0x4000000n as Lsn,
    flushedLsn: 0x5000123n as Lsn,
    recordEndLsn: 0x5000100n as Lsn,
  },
});
fuzz("a witness's answer to a withdrawal", [Buffer.from(withdrawal)], (bytes) => parseWithdrawal(`${bytes}`));
fuzz("a witness's answer of bytes", [Buffer.from(bytesLine(Buffer.from("wal")))], (bytes) => parseBytes(`${bytes}`));
fuzz("a witness's answer of a digest", [Buffer.from(digestLine("0".repeat(64)))], (bytes) => parseDigest(`${bytes}`));

// --- Files of this machine --------------------------------------------------------------------------------------------

/** Where a record is written, and given nearly right. */
const { files } = memoryFiles();
await files.makeFolder("/record");
const tools = { files, random: systemRandom };

/** Fuzzes the one file that `write` makes in a folder. */
async function fuzzFile(name: string, file: string, read: () => Promise<unknown>): Promise<void> {
  fuzz(
    name,
    [await files.readFile(`/record/${file}`)],
    async (bytes) => {
      const handle = await files.open(`/record/${file}`, "update");
      await handle.truncate(0);
      await handle.write(bytes, 0);
      await handle.close();
      await read();
    },
    DEAR,
  );
}

await writeSpoolState(tools, "/record", {
  vaultId: "0".repeat(32),
  systemId: "7000" as SystemId,
  walSegmentBytes: 1024 * 1024,
  timeline: 1 as Timeline,
  history: "",
  slot: "lifeboat",
  flushedLsn: 0x5000123n as Lsn,
  rangeFrom: 0x4000000n as Lsn,
  gaps: [],
});
await fuzzFile("the state of a spool", "state.json", () => readSpoolState(files, "/record"));
await writeMandate(tools, "/record", { kind: "withdrawn", epoch: 4, contiguousWith: 0x5000000n as Lsn });
await fuzzFile("a mandate", "mandate.json", () => readMandate(files, "/record"));
const aside = {
  format: "lifeboat-aside",
  version: 1,
  madeAt: "2026-01-01T00:00:00.000Z",
  systemId: "7000",
  backupId: "20260101t000000z-00000000",
  roots: ["/srv"],
  pages: { sizeBytes: 0, crc32: 0 },
  files: [{ path: "base/5/1", sizeBytes: 8192, ranges: [0, 8192] }],
  absent: ["a"],
};
const header = await files.open("/record/aside.json", "create");
await header.write(Buffer.from(JSON.stringify(aside)), 0);
await header.close();
await fuzzFile("the header of an aside", "aside.json", () => readAside(files, "/record"));

// --- Small records of the vault ---------------------------------------------------------------------------------------

const store = openMemoryStore({ clock: systemClock });
const vaultTools = { store, clock: systemClock, random: systemRandom };
const { vault } = await initVault(vaultTools, { kind: "open" }, {});
const backup = { systemId: "7000" as SystemId, backupId: "20260101t000000z-00000000" as never };

async function swap(name: string, bytes: Buffer): Promise<void> {
  await store.delete(name);
  await store.put(name, [bytes]);
}

/** Fuzzes what an object says, as somebody would write it who has the key, and then the object. */
async function fuzzObject(name: string, object: string, read: () => Promise<unknown>): Promise<void> {
  const [sealed, plain] = [await store.get(object), await getBlob(vault, object, {})];
  fuzz(
    `${name} that opens`,
    [plain],
    async (bytes) => {
      await swap(object, Buffer.concat(await sealBlob({ name: object, plain: bytes, level: 1 }, vault)));
      await read();
    },
    DEAR,
  );
  fuzz(
    name,
    [sealed],
    async (bytes) => {
      await swap(object, bytes);
      await read();
    },
    DEAR,
  );
}

const { holdId } = await putHold(vault, { scope: "all", reason: "looked at" }, {});
await fuzzObject("a hold", `holds/all/${holdId}`, async () => {
  // Whatever is in it, it holds.
  assert.equal((await listHolds(vault, {})).length, 1);
});
await putTombstone(vault, { ...backup, why: "named" }, {});
await fuzzObject("a tombstone", backupName(backup, "tombstone"), () => readTombstoneWhy(vault, backup, {}));
const proven = { systemId: backup.systemId, backupId: "20260102t000000z-00000000" as never };
await store.put(backupName(proven, "announced"), [Buffer.alloc(0)]);
const proof = syntheticProof(proven, { minute: 0, asked: "intact" });
await putProof(vault, proof, {});
await fuzzObject("a proof", `backups/${proof.systemId}/${proof.backupId}/proof-${proof.proofId}`, async () => {
  // One that cannot be read is told, and hides no other.
  const { proofs, damaged } = await listProofs(vault, {}, {});
  assert.equal(proofs.length + damaged.length, 1);
});
const names = [
  "keys/0123456789abcdef0123456789abcdef/0123456789abcdef.json",
  "backups/7000000000000000001/20260101t000000z-00000000/announced",
  "backups/7000000000000000001/20260101t000000z-00000000/proof-20260101t000000z-00000000",
  "holds/all/0123456789abcdef",
  "wal/7000000000000000001/00000001/000000010000000000000002",
  "wal/7000000000000000001/history/00000002",
];
fuzz(
  "the names in a vault",
  names.map((each) => Buffer.from(each)),
  (bytes) => {
    const name = bytes.toString("utf8");
    const held = parseHoldName(name);
    if (held !== undefined) assert.equal(holdName(held), name);
    const wrap = parseKeyWrapName(name);
    if (wrap !== undefined) assert.equal(keyWrapName(wrap), name);
    const of = parseProofName(name);
    if (of !== undefined) assert.equal(proofName(of), name);
    const part = parseBackupName(name);
    if (part !== undefined) assert.ok(name.startsWith(`backups/${part.systemId}/${part.backupId}/`));
    const segment = parseWalKey(name);
    if (segment?.kind === "segment") assert.equal(segmentKey(segment), name);
  },
);
fuzz(
  "the marker of a vault",
  [await store.get(VAULT_MARKER)],
  async (bytes) => {
    await swap(VAULT_MARKER, bytes);
    await swap(VAULT_MARKER_COPY, bytes);
    await openVault(vaultTools, { kind: "open" }, {});
  },
  DEAR,
);
