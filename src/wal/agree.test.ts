import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { sessionContext } from "../../test/support/session-contexts.ts";
import { SYNTHETIC_SEGMENT_BYTES, storeSegment } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { readHistory } from "../backup/image.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { historyName, type Lsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { ReplicationConnection } from "../postgres/replication.ts";
import type { Vault } from "../vault/vault.ts";
import { getHistory, putHistory } from "../vault/wal-store.ts";
import { agreeOnStart } from "./agree.ts";
import { parseHistory } from "./history.ts";
import { openSpool } from "./spool.ts";
import type { SpoolState } from "./spool-state.ts";

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
  await using temporary = await temporaryFolder("agree");
  const clock = systemClock;
  const tools = { files: systemFiles, locks: systemLocks, clock, random: systemRandom };
  const spool = await openSpool(tools, temporary.folder, {});
  const { signal } = new AbortController();
  const context = sessionContext({ spool, vault, clock, systemId: SYSTEM, ended: signal });
  try {
    for (let time = 0; time < times; time += 1) await agreeOnStart(connection, context, { signal });
    return spool.state;
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
