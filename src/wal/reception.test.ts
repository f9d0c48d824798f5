import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { sessionContext } from "../../test/support/session-contexts.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { LSN_NONE, type Lsn, lsnAdd, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { ReplicationConnection, StandbyStatus, WalMessage, WalStream } from "../postgres/replication.ts";
import { Link } from "./continuation.ts";
import { Reception } from "./reception.ts";
import type { SessionContext } from "./session-context.ts";
import { openSpool, type Spool } from "./spool.ts";

const MIB = 1024 * 1024;
const SEGMENT_BYTES = 4 * MIB;
const START = BigInt(2 * SEGMENT_BYTES) as Lsn;
const ONE = 1 as Timeline;
const SYSTEM = "7000000000000000001" as SystemId;
const GROUP_BYTES = 8192;
const WAL = writeSyntheticWal({ start: START, walSegmentBytes: SEGMENT_BYTES }, [
  { rmgr: 0, info: 0, xid: 1, mainData: Buffer.alloc(100_000, 1) },
]).bytes;

/** Every sync is quick. */
const quick: Clock = { ...systemClock, monotonic: () => 0 as Monotonic };

/** Bytes of a group; or nothing in time, or the end of the timeline. */
type Sent = number | "silence" | "timeline-end";

/** A server that sends this and is gone; what it was told, and what it was told past the queue. */
class Sender {
  readonly told: Lsn[] = [];
  readonly toldAtOnce: Lsn[] = [];
  readonly #sent: Iterator<Sent>;
  readonly #serverEnd: Lsn;
  #at = 0;

  /** Without `serverEnd` it sends whatever it has. */
  constructor(sent: Iterable<Sent>, serverEnd: Lsn = LSN_NONE) {
    this.#sent = sent[Symbol.iterator]();
    this.#serverEnd = serverEnd;
  }

  get connection(): ReplicationConnection {
    const messages = new Map<Buffer, Lsn>();
    const stream: Omit<WalStream, "stop"> = {
      next: async () => {
        const { value, done } = this.#sent.next();
        if (done === true) throw new Error("the server is gone");
        if (value === "silence") return undefined;
        return [value === "timeline-end" ? { kind: value, next: undefined } : this.#next(value)];
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

  #next(sizeBytes: number): WalMessage {
    const start = lsnAdd(START, this.#at);
    const data = WAL.subarray(this.#at, this.#at + sizeBytes);
    this.#at += sizeBytes;
    const end = lsnAdd(start, sizeBytes);
    return { kind: "data", start, serverEnd: end > this.#serverEnd ? end : this.#serverEnd, data };
  }
}

async function openOver(folder: string, files: Files): Promise<Spool> {
  const spool = await openSpool({ files, locks: systemLocks, clock: quick, random: systemRandom }, folder, {});
  await spool.adopt({
    vaultId: "0".repeat(32),
    systemId: SYSTEM,
    walSegmentBytes: SEGMENT_BYTES,
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

/** Receives all that the server sends, under a mandate that permits what `mayConfirm` says; returns where the spool ends then. */
async function receive(
  sender: Sender,
  how: {
    readonly files?: Files;
    readonly confirmFrom?: Lsn;
    readonly mayConfirm?: () => boolean;
    readonly link?: Link;
    readonly clock?: Clock;
    /** Handed over before anything is received. */
    readonly begins?: (context: SessionContext) => void;
  },
): Promise<Lsn> {
  await using temporary = await temporaryFolder("reception");
  const { files = systemFiles, confirmFrom = START, mayConfirm = () => true, clock = quick, link } = how;
  const spool = await openOver(temporary.folder, files);
  const vault = await createTestVault();
  const ended = new AbortController().signal;
  const context = sessionContext({ spool, vault, clock, systemId: SYSTEM, ended, files, mayConfirm });
  how.begins?.(context);
  const plan = { timeline: ONE, streamFrom: START, writeFrom: START, expected: Buffer.alloc(0), confirmFrom, link };
  const run = new Reception(context, plan).run(sender.connection, { signal: ended });
  await run.catch((error) =>
    assert.match(`${error}`, link === undefined ? /the server is gone/ : /is gone|does not go on/),
  );
  await spool.abandon();
  const [file] = await spool.list();
  await spool.close();
  return file?.end ?? LSN_NONE;
}

/** Files of which each sync is told, and whether somebody waited for it with the whole process. */
function filesWithSyncs(synced: (how: "now" | "later") => void): Files {
  return {
    ...systemFiles,
    open: async (...given) => {
      const handle = await systemFiles.open(...given);
      const [sync, syncNow] = [handle.sync.bind(handle), handle.syncNow.bind(handle)];
      return Object.assign(handle, {
        sync: async () => {
          await sync();
          synced("later");
        },
        syncNow: () => {
          syncNow();
          synced("now");
        },
      });
    },
  };
}

const BURST_BYTES = 64 * 1024;
const burst = (groups: number): readonly Sent[] => Array.from({ length: groups }, () => BURST_BYTES);
const behind = (groups: number): Lsn => lsnAdd(START, groups * BURST_BYTES);

test("small groups are confirmed one by one, all but the first of a segment at once", async () => {
  const sender = new Sender(Array(4).fill(GROUP_BYTES));
  await receive(sender, {});
  const ends = [1, 2, 3, 4].map((count) => lsnAdd(START, count * GROUP_BYTES));
  assert.deepEqual(sender.told, [LSN_NONE, ...ends]);
  assert.deepEqual(sender.toldAtOnce, ends.slice(1));
});

test("of what lies before the point from which a timeline counts nothing is confirmed, at once neither", async () => {
  const sender = new Sender(Array(5).fill(GROUP_BYTES));
  const confirmFrom = lsnAdd(START, 4 * GROUP_BYTES);
  await receive(sender, { confirmFrom });
  assert.deepEqual(sender.told, [LSN_NONE, confirmFrom, lsnAdd(confirmFrom, GROUP_BYTES)]);
});

test("before the first record is found to be linked to what is held nothing is confirmed, and nothing is written", async () => {
  const linked = (previous: bigint): Link =>
    Link.to(previous as Lsn, { at: START, timeline: ONE, walSegmentBytes: SEGMENT_BYTES });
  const groups = Math.ceil(100_000 / GROUP_BYTES);
  const sender = new Sender(Array(groups + 1).fill(GROUP_BYTES));
  assert.equal(await receive(sender, { link: linked(0n) }), lsnAdd(START, (groups + 1) * GROUP_BYTES));
  assert.deepEqual(sender.told, [LSN_NONE, ...[0, 1].map((more) => lsnAdd(START, (groups + more) * GROUP_BYTES))]);

  const foreign = new Sender(Array(groups).fill(GROUP_BYTES));
  assert.equal(await receive(foreign, { link: linked(START - 24n) }), LSN_NONE);
  assert.deepEqual(foreign.told, [LSN_NONE]);
});

test("a grant that ends while the disk syncs confirms nothing of what was synced", async () => {
  let syncs = 0;
  const files = filesWithSyncs((how) => {
    if (how === "now") syncs += 1;
  });
  const sender = new Sender(Array(4).fill(GROUP_BYTES));
  await receive(sender, { files, mayConfirm: () => syncs < 3 });
  assert.deepEqual(sender.told, [LSN_NONE, lsnAdd(START, GROUP_BYTES), lsnAdd(START, 2 * GROUP_BYTES)]);
});

test("what waits to be confirmed has waited since it came, however long the server had written nothing", async () => {
  let now = 0;
  const clock: Clock = { ...systemClock, monotonic: () => now as Monotonic };
  let context: SessionContext | undefined;
  const owed: [boolean, number | undefined][] = [];
  const files = filesWithSyncs(() => {
    if (context !== undefined) owed.push([context.serverEnd > context.told, context.confirmedAt]);
  });
  const begins = (given: SessionContext): void => {
    context = given;
  };
  function* idleBetween(): Generator<Sent> {
    yield GROUP_BYTES;
    now = 20_000;
    yield GROUP_BYTES;
  }
  await receive(new Sender(idleBetween()), { files, clock, begins });
  assert.deepEqual(owed.at(-1), [true, 20_000]);
});

test("what was not confirmed before a stream began does not wait for it since then", async () => {
  let now = 0;
  const clock: Clock = { ...systemClock, monotonic: () => now as Monotonic };
  let context: SessionContext | undefined;
  const begins = (given: SessionContext): void => {
    given.serverEnd = lsnAdd(START, GROUP_BYTES);
    context = given;
    now = 60_000;
  };
  await receive(new Sender(["silence"]), { clock, begins, confirmFrom: lsnAdd(START, GROUP_BYTES) });
  assert.deepEqual([context?.told, context?.confirmedAt], [LSN_NONE, 60_000]);
});

test("what came without a grant waits since it came, until it is told", async () => {
  let now = 0;
  const clock: Clock = { ...systemClock, monotonic: () => now as Monotonic };
  let context: SessionContext | undefined;
  const owed: [boolean, number][] = [];
  const look = (): void => {
    if (context !== undefined) owed.push([context.serverEnd > context.told, context.confirmedAt]);
  };
  let granted = true;
  function* lapsing(): Generator<Sent> {
    yield GROUP_BYTES;
    look();
    [granted, now] = [false, 1000];
    yield GROUP_BYTES;
    now = 15_000;
    yield GROUP_BYTES;
    look();
    [granted, now] = [true, 16_000];
    yield "silence";
    look();
  }
  const begins = (given: SessionContext): void => {
    context = given;
  };
  await receive(new Sender(lapsing()), { clock, begins, mayConfirm: () => granted });
  assert.deepEqual(owed, [
    [false, 0],
    [true, 1000],
    [false, 16_000],
  ]);
});

test("a burst is synced once and confirmed whole, when all that the server had is there", async () => {
  const syncsOf = async (groups: number): Promise<number> => {
    let syncs = 0;
    const files = filesWithSyncs(() => {
      syncs += 1;
    });
    const sender = new Sender(burst(groups), behind(groups));
    assert.equal(await receive(sender, { files }), behind(groups));
    assert.deepEqual(sender.told, [LSN_NONE, behind(groups)]);
    return syncs;
  };
  assert.equal(await syncsOf(8), await syncsOf(1));
});

test("a burst that stops is confirmed up to there", async () => {
  const sender = new Sender([...burst(3), "silence", ...burst(2)], behind(8));
  await receive(sender, {});
  assert.deepEqual(sender.told.slice(0, 2), [LSN_NONE, behind(3)]);
});

test("what came of a burst before the connection broke, or the timeline ended, is held", async () => {
  assert.equal(await receive(new Sender(burst(3), behind(8)), {}), behind(3));
  assert.equal(await receive(new Sender([...burst(3), "timeline-end"], behind(8)), {}), behind(3));
});

test("a burst without end is confirmed piece by piece", async () => {
  const sender = new Sender(burst(48), behind(1000));
  await receive(sender, {});
  assert.deepEqual(sender.told, [LSN_NONE, behind(32)]);
});
