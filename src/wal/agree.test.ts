import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { sessionContext } from "../../test/support/session-contexts.ts";
import { SYNTHETIC_SEGMENT_BYTES, storeSegment } from "../../test/support/synthetic-backups.ts";
import { createTestVault, exchangeableStore } from "../../test/support/vaults.ts";
import { readHistory } from "../backup/image.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { historyName, type Lsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { ReplicationConnection } from "../postgres/replication.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { segmentKey } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { getHistory, putHistory, putSegment } from "../vault/wal-store.ts";
import { agreeOnStart } from "./agree.ts";
import { parseHistory } from "./history.ts";
import type { Plan, SessionContext } from "./session-context.ts";
import { openSpool } from "./spool.ts";
import type { SpoolState } from "./spool-state.ts";
import type { UnreadableWal } from "./unreadable.ts";

const SYSTEM = "7000000000000000001" as SystemId;
const SECOND = "1\t0/300000\tno recovery target specified\n";
const THIRD = `${SECOND}2\t0/500000\tno recovery target specified\n`;
const FOURTH = `${THIRD}3\t0/700000\tno recovery target specified\n`;

/** As a restore lays it for one that does not open. */
const COMMENT = "# lifeboat: the history of this timeline does not open in the vault\n";

/** A server on timeline 4 that sends these histories. */
function serverWith(histories: Readonly<Record<number, string>>): ReplicationConnection {
  const server: Partial<ReplicationConnection> = {
    identifySystem: async () => ({ systemId: SYSTEM, timeline: 4 as Timeline, flushedLsn: 0x900000n as Lsn }),
    show: async () => `${SYNTHETIC_SEGMENT_BYTES / 1024}kB`,
    readSlot: async () => ({ restartLsn: 0x800000n as Lsn, timeline: 4 as Timeline }),
    timelineHistory: async (timeline) => {
      const text = histories[timeline];
      if (text === undefined) throw new LifeboatError("postgres.wal-removed", { message: "gone", remedy: "None." });
      return { name: historyName(timeline), content: Buffer.from(text) };
    },
  };
  return server as ReplicationConnection;
}

/** Agrees with the server over a new spool, as often as asked; returns what that holds then. */
async function agree(connection: ReplicationConnection, vault: Vault, times = 1): Promise<SpoolState | undefined> {
  let state: SpoolState | undefined;
  await overNewSpool(connection, vault, async (agreed, context) => {
    for (let time = 0; time < times; time += 1) await agreed();
    state = context.spool.state;
  });
  return state;
}

/** Hands over what agrees with the server over a new spool. */
async function overNewSpool(
  connection: ReplicationConnection,
  vault: Vault,
  work: (agreed: () => Promise<Plan>, context: SessionContext) => Promise<void>,
): Promise<void> {
  await using temporary = await temporaryFolder("agree");
  const clock = systemClock;
  const tools = { files: systemFiles, locks: systemLocks, clock, random: systemRandom };
  const spool = await openSpool(tools, temporary.folder, {});
  const { signal } = new AbortController();
  const context = sessionContext({ spool, vault, clock, systemId: SYSTEM, ended: signal });
  try {
    await work(() => agreeOnStart(connection, context, { signal }), context);
  } finally {
    await spool.close();
  }
}

function held(vault: Vault, timeline: number): Promise<Buffer | undefined> {
  return getHistory(vault, { systemId: SYSTEM, timeline: timeline as Timeline }, {});
}

test("a comment in the place of an ancestor's history is not taken into the vault, and does not clash with the real one", async () => {
  const server = serverWith({ 2: COMMENT, 3: THIRD, 4: FOURTH });
  const lacking = await createTestVault();
  await agree(server, lacking);
  assert.deepEqual(
    [await held(lacking, 2), await held(lacking, 3), await held(lacking, 4)].map(String),
    ["undefined", THIRD, FOURTH],
    "what names its ancestors is stored",
  );

  const mended = await createTestVault();
  await putHistory(mended, { systemId: SYSTEM, timeline: 2 as Timeline, content: Buffer.from(SECOND) }, {});
  await agree(server, mended);
  assert.equal(String(await held(mended, 2)), SECOND);
});

test("an ancestor without a history of its own is gone on with as the server's tells of it", async () => {
  const vault = await createTestVault();
  const server = serverWith({ 2: COMMENT, 3: THIRD, 4: FOURTH });
  await storeSegment(vault, { systemId: SYSTEM, timeline: 2 as Timeline, number: 3 });
  const state = await agree(server, vault, 2);
  assert.equal(state?.timeline, 2);
  assert.deepEqual(
    parseHistory(2 as Timeline, Buffer.from(state.history)),
    parseHistory(2 as Timeline, Buffer.from(SECOND)),
  );
});

test("a backup does not take up a comment as the history of its timeline", async () => {
  const server = serverWith({ 2: COMMENT, 3: THIRD });
  assert.equal(await readHistory(server, 3 as Timeline, {}), THIRD);
  await assert.rejects(readHistory(server, 2 as Timeline, {}), (error) =>
    isLifeboatError(error, "wal.history-damaged"),
  );
});

/** A server on its first timeline, a little further than segment 6. */
const FIRST: ReplicationConnection = {
  ...serverWith({}),
  identifySystem: async () => ({ systemId: SYSTEM, timeline: 1 as Timeline, flushedLsn: 0x900000n as Lsn }),
};
const FIVE = 0x500000n as Lsn;
const SEVEN = 0x700000n as Lsn;
const named = (lsn: Lsn): string =>
  segmentName({ timeline: 1 as Timeline, lsn, walSegmentBytes: SYNTHETIC_SEGMENT_BYTES });

/** A vault with segments 5 and 6 of the first timeline. */
async function vaultOfTwo(store: Store = openMemoryStore({ clock: systemClock })): Promise<Vault> {
  const vault = await createTestVault(store);
  for (const number of [5, 6]) {
    const bytes = Buffer.alloc(SYNTHETIC_SEGMENT_BYTES, number);
    await putSegment(vault, { systemId: SYSTEM, segment: named(BigInt(number * bytes.byteLength) as Lsn), bytes }, {});
  }
  return vault;
}

async function damage({ store }: Vault, lsn: Lsn): Promise<void> {
  const key = segmentKey({ systemId: SYSTEM, segment: named(lsn) });
  const bytes = await store.get(key, {});
  await store.delete(key, {});
  bytes.writeUInt8(bytes.readUInt8(70) ^ 1, 70);
  await store.put(key, [bytes], {});
}

/** What the receiver walked, up to the first byte of segment 7. */
const walkedIn = (vault: Vault, last: Lsn) => async () => ({
  vaultId: vault.id,
  systemId: SYSTEM,
  timeline: 1 as Timeline,
  from: FIVE,
  to: SEVEN,
  last,
  changes: [],
});

/** Whether nothing is confirmed before the first record is found to be linked. */
const isHeldBack = ({ link }: Plan): boolean => link?.settled === false;

test("a server is known by the segment before where the vault's last one does not open, and that is told", async () => {
  const vault = await vaultOfTwo();
  const six = 0x600000n as Lsn;
  await damage(vault, six);
  await overNewSpool(FIRST, vault, async (agreed, context) => {
    const told: UnreadableWal[] = [];
    Object.assign(context, { unreadable: async (found: UnreadableWal) => void told.push(found) });
    const plan = await agreed();
    assert.deepEqual([plan.streamFrom, plan.writeFrom], [six - 16384n, SEVEN]);
    assert.deepEqual(plan.expected, Buffer.alloc(16384, 5), "compared with what the server has there");
    assert.ok(!isHeldBack(plan));
    assert.deepEqual(
      told.map(({ from, to, reason }) => [from, to, reason]),
      [[six, SEVEN, `${named(six)} does not open in the vault: vault.object-damaged`]],
    );

    Object.assign(context, { walked: walkedIn(vault, (SEVEN - 100n) as Lsn) });
    const linked = await agreed();
    assert.deepEqual([linked.expected.byteLength, isHeldBack(linked)], [16384, true], "by both");

    // The server has nothing of these any more: nothing is left to know it by.
    context.gone = { what: "comparison", at: SEVEN };
    Object.assign(context, { walked: async () => undefined });
    const taken = await agreed();
    assert.deepEqual([taken.streamFrom, taken.link], [SEVEN, undefined]);
  });
});

test("behind a segment that the vault has, a receiver goes on while that is down where the link is known, and else waits for it", async () => {
  const { store, exchange } = exchangeableStore(openMemoryStore({ clock: systemClock }));
  const vault = await vaultOfTwo(store);
  const down = new Proxy(store, {
    get: () => () => {
      throw new LifeboatError("store.failed", { message: "down", remedy: "None.", retryable: true });
    },
  });
  await overNewSpool(FIRST, vault, async (agreed, context) => {
    await agreed();
    exchange(down);
    await assert.rejects(agreed(), (error) => isLifeboatError(error, "store.failed"));
    Object.assign(context, { walked: walkedIn(vault, (SEVEN - 100n) as Lsn) });
    const plan = await agreed();
    assert.deepEqual([plan.streamFrom, isHeldBack(plan)], [SEVEN, true]);
  });
});
