/** A pause that is sent late: its controller was halted between writing down that it may and sending it. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { POLICY, primaryAnswer, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { eventually } from "../../test/support/receivers.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import type { PoolerConsole } from "../pooler/console.ts";
import { formatDatabases } from "../pooler/databases-file.ts";
import { holdFileOf } from "../pooler/hold-file.ts";
import { MemoryPgBouncer } from "../pooler/memory/memory-pgbouncer.ts";
import { PgBouncer } from "../pooler/pgbouncer.ts";
import { Controller } from "./controller.ts";
import { SEQUENCE_LIMITS } from "./limits.ts";
import { poolerPort } from "./pooler-driver.ts";
import type { Epoch, NodePort, WitnessPort } from "./ports.ts";

const PRIMARY = { host: "10.0.0.1", port: 5432 };
const PACE = {
  probeMs: 100,
  intervalMs: 5,
  suspectMs: 5,
  claimMs: 5,
  rejoinAfterMs: 60_000,
  catchUpMs: 60_000,
  rejoinAgainMs: 60_000,
  retryMs: 5,
};
const STREAMING = { kind: "streaming", receivedAgoMs: 1 } as const;

/** Keeps what pauses until it may go on. */
function haltedBefore(console: PoolerConsole) {
  const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const halted: PoolerConsole = {
    ...console,
    runAtOnce: async (...command) => {
      reached.resolve();
      await goOn.promise;
      await console.runAtOnce(...command);
    },
  };
  return { halted, reached: reached.promise, goOn: goOn.resolve };
}

test("clients that a halted controller makes wait when it wakes, long after another one took over, go on with the next look of that one", async () => {
  await withFolder(async (folder) => {
    const databasesFile = path.join(folder, "databases.ini");
    const line = { name: "catalog", database: "catalog", server: PRIMARY };
    await writeFile(databasesFile, formatDatabases({ epoch: 0, databases: [line] }));
    const memory = new MemoryPgBouncer(systemClock, {
      version: { major: 1, minor: 18, patch: 0 },
      databases: [line],
      readFile: () => readFile(databasesFile, "utf8"),
    });
    const by = (waitingConsole: PoolerConsole): PgBouncer =>
      new PgBouncer(
        { clock: systemClock, files: systemFiles, locks: systemLocks, random: systemRandom },
        { name: "pgbouncer", console: memory.console(), waitingConsole, databasesFile },
      );
    const gate = haltedBefore(memory.console());
    const pausing = by(gate.halted).pause({ epoch: 7, drain: false, drainMs: 0, gone: true, holdMsMax: 60_000 }, {});
    await gate.reached;
    // Who comes after it has clients go on, of whom none waits, and puts its hold away: no watchdog will end this pause.
    const pooler = by(memory.console());
    assert.equal((await pooler.resume({ epoch: 8 }, {})).kind, "done");
    const acting = new Controller(stackWith(pooler), { policy: POLICY, limits: SEQUENCE_LIMITS, pace: PACE });
    const stop = new AbortController();
    const running = acting.run({ signal: stop.signal });
    try {
      await eventually("all is well", async () => acting.state.decision?.kind === "healthy");
      gate.goOn();
      assert.deepEqual(await pausing, { kind: "stale-epoch", seen: 8 });
      assert.equal(await systemFiles.stat(holdFileOf({ name: "pgbouncer", databasesFile })), undefined);
      assert.ok(memory.commands.includes("PAUSE"));
      await eventually("clients go on", async () => !memory.paused);
    } finally {
      stop.abort();
      await running;
    }
  });
});

/** A stack that is well, under epoch 8. */
function stackWith(pooler: PgBouncer) {
  let version = 3;
  return portsFor({
    clock: systemClock,
    lease: { durationMs: 1_000_000, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
    record: {
      read: async () => ({ version, epoch: 7 as Epoch, record: RECORD }),
      write: async () => {
        version += 1;
        return { kind: "done", version };
      },
    },
    nodes: [
      only<NodePort>("a", { name: "a", probe: async () => primaryAnswer() }),
      only<NodePort>("b", { name: "b", probe: async () => standbyAnswer({ receiver: STREAMING }) }),
    ],
    witness: only<WitnessPort>("witness", {
      status: async () => witnessAnswer(),
      grant: async () => ({ kind: "done" }),
    }),
    poolers: [
      poolerPort({
        pooler,
        addressOf: new Map([["a", PRIMARY]]),
        logIn: async () => undefined,
        write: async () => RECORD.timeline,
      }),
    ],
  });
}
