import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { LSN_NONE, type Lsn, lsnAdd, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { ReplicationConnection, StandbyStatus, WalMessage, WalStream } from "../postgres/replication.ts";
import type { Mandate } from "./mandate.ts";
import { Reception } from "./reception.ts";
import type { SessionContext } from "./session-context.ts";
import { openSpool, type Spool } from "./spool.ts";
import { Uploads } from "./uploads.ts";

const MIB = 1024 * 1024;
const START = BigInt(5 * MIB) as Lsn;
const ONE = 1 as Timeline;
const SYSTEM = "7000000000000000001" as SystemId;
const GROUP_BYTES = 8192;
const WAL = writeSyntheticWal({ start: START, walSegmentBytes: MIB }, [
  { rmgr: 0, info: 0, xid: 1, mainData: Buffer.alloc(100_000, 1) },
]).bytes;

/** Every sync is quick. */
const clock: Clock = { ...systemClock, monotonic: () => 0 as Monotonic };

/** A server that sends so many groups and is gone; what it was told, and what it was told past the queue. */
class Sender {
  readonly told: Lsn[] = [];
  readonly toldAtOnce: Lsn[] = [];
  #groups: number;
  #at = 0;

  constructor(groups: number) {
    this.#groups = groups;
  }

  get connection(): ReplicationConnection {
    const messages = new Map<Buffer, Lsn>();
    const stream: Omit<WalStream, "stop"> = {
      next: async () => {
        if (this.#groups === 0) throw new Error("the server is gone");
        this.#groups -= 1;
        return [this.#next()];
      },
      sendStatus: async ({ flushed }: StandbyStatus) => {
        this.told.push(flushed);
      },
      statusMessage: ({ flushed }: StandbyStatus) => {
        const message = Buffer.alloc(1);
        messages.set(message, flushed);
        return message;
      },
      sendNow: (message: Buffer) => {
        const flushed = messages.get(message) ?? LSN_NONE;
        this.told.push(flushed);
        this.toldAtOnce.push(flushed);
        return true;
      },
    };
    return { startWal: async () => stream } as unknown as ReplicationConnection;
  }

  #next(): WalMessage {
    const start = lsnAdd(START, this.#at);
    const data = WAL.subarray(this.#at, this.#at + GROUP_BYTES);
    this.#at += GROUP_BYTES;
    return { kind: "data", start, serverEnd: lsnAdd(START, WAL.byteLength), data };
  }
}

async function openOver(folder: string, files: Files): Promise<Spool> {
  const spool = await openSpool({ files, locks: systemLocks, clock, random: systemRandom }, folder, {});
  await spool.adopt({
    vaultId: "0".repeat(32),
    systemId: SYSTEM,
    walSegmentBytes: MIB,
    timeline: ONE,
    history: "",
    slot: "lifeboat_vault",
    flushedLsn: START,
    rangeFrom: START,
    gaps: [],
  });
  await spool.continueAt({ timeline: ONE, lsn: START });
  return spool;
}

/** Receives all that the server sends, under a mandate that permits what `mayConfirm` says. */
async function receive(
  sender: Sender,
  how: { readonly files?: Files; readonly confirmFrom?: Lsn; readonly mayConfirm?: () => boolean },
): Promise<void> {
  await using temporary = await temporaryFolder("reception");
  const { files = systemFiles, confirmFrom = START, mayConfirm = () => true } = how;
  const spool = await openOver(temporary.folder, files);
  const vault = await createTestVault();
  const ended = new AbortController().signal;
  const mandate: Mandate = {
    reign: 0,
    upstream: undefined,
    systemId: undefined,
    timeline: undefined,
    switchLsn: undefined,
    ended,
    mayConfirm,
  };
  const context: SessionContext = {
    spool,
    uploads: new Uploads({
      vault,
      clock,
      random: systemRandom,
      readFile: files.readFile,
      systemId: () => SYSTEM,
      remove: async () => undefined,
    }),
    vault,
    clock,
    options: {
      slot: "lifeboat_vault",
      statusIntervalMs: 1000,
      serverTimeoutMs: 30_000,
      spoolBytesMax: 1024 * MIB,
      slotLifetime: "lasting",
      newSystem: false,
      delayMs: 0,
    },
    mandate,
    gone: undefined,
    serverEnd: LSN_NONE,
    heardAt: undefined,
    confirmedAt: clock.monotonic(),
    streaming: () => undefined,
    lost: () => undefined,
  };
  const plan = { timeline: ONE, streamFrom: START, writeFrom: START, expected: Buffer.alloc(0), confirmFrom };
  await assert.rejects(new Reception(context, plan).run(sender.connection, { signal: ended }), /the server is gone/);
  await spool.close();
}

test("small groups are confirmed one by one, all but the first of a segment at once", async () => {
  const sender = new Sender(4);
  await receive(sender, {});
  const ends = [1, 2, 3, 4].map((count) => lsnAdd(START, count * GROUP_BYTES));
  assert.deepEqual(sender.told, [LSN_NONE, ...ends]);
  assert.deepEqual(sender.toldAtOnce, ends.slice(1));
});

test("of what lies before the point from which a timeline counts nothing is confirmed, at once neither", async () => {
  const sender = new Sender(5);
  const confirmFrom = lsnAdd(START, 4 * GROUP_BYTES);
  await receive(sender, { confirmFrom });
  assert.deepEqual(sender.told, [LSN_NONE, confirmFrom, lsnAdd(confirmFrom, GROUP_BYTES)]);
});

test("a grant that ends while the disk syncs confirms nothing of what was synced", async () => {
  let syncs = 0;
  const files: Files = {
    ...systemFiles,
    open: async (...given) => {
      const handle = await systemFiles.open(...given);
      const sync = handle.syncNow.bind(handle);
      return Object.assign(handle, {
        syncNow: () => {
          sync();
          syncs += 1;
        },
      });
    },
  };
  const sender = new Sender(4);
  await receive(sender, { files, mayConfirm: () => syncs < 3 });
  assert.deepEqual(sender.told, [LSN_NONE, lsnAdd(START, GROUP_BYTES), lsnAdd(START, 2 * GROUP_BYTES)]);
});
