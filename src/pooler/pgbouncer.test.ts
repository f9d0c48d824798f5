import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { eventually } from "../../test/support/receivers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { type FaultyFiles, faultyFiles } from "../platform/faulty-files.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { formatDatabases, parseDatabases, readDatabases } from "./databases-file.ts";
import { holdFileOf, readHold } from "./hold-file.ts";
import { MemoryPgBouncer } from "./memory/memory-pgbouncer.ts";
import { PgBouncer } from "./pgbouncer.ts";
import type { PauseRequest } from "./pooler.ts";

const OLD = { host: "10.0.0.1", port: 5432 };
const NEW = { host: "10.0.0.2", port: 5433 };
const DEBIAN_12 = { major: 1, minor: 18, patch: 0 };
const DEBIAN_13 = { major: 1, minor: 24, patch: 1 };

type Under = { readonly memory: MemoryPgBouncer; readonly pooler: PgBouncer; readonly file: string };

async function withPooler(
  work: (under: Under) => Promise<void>,
  { version = DEBIAN_12, files = systemFiles }: { version?: typeof DEBIAN_12; files?: FaultyFiles["files"] } = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const file = path.join(folder, "databases.ini");
    const line = { name: "catalog", database: "catalog", server: OLD };
    await writeFile(file, formatDatabases({ epoch: 0, databases: [line] }));
    const memory = new MemoryPgBouncer(systemClock, {
      version,
      databases: [line],
      readFile: () => readFile(file, "utf8"),
    });
    const pooler = new PgBouncer(
      { clock: systemClock, files, locks: systemLocks, random: systemRandom },
      { name: "pgbouncer", console: memory.console(), waitingConsole: memory.console(), databasesFile: file },
    );
    await work({ memory, pooler, file });
  });
}

function holdOf(databasesFile: string): string {
  return holdFileOf({ name: "pgbouncer", databasesFile });
}

function request(changes: Partial<PauseRequest> = {}): PauseRequest {
  return { epoch: 1, drain: true, drainMs: 60, holdMsMax: 5_000, ...changes };
}

function commandsThatAct({ commands }: MemoryPgBouncer): readonly string[] {
  return commands.filter((command) => !command.startsWith("SHOW") && command !== "PAUSE pgbouncer");
}

for (const version of [DEBIAN_12, DEBIAN_13]) {
  test(`version 1.${version.minor}: it is paused by its own word, and the hold says since when`, async () => {
    await withPooler(
      async ({ memory, pooler, file }) => {
        assert.equal((await pooler.state({})).mode, "serving");
        const done = await pooler.pause(request(), {});
        assert.deepEqual(done, { kind: "done", drained: true, cutLogin: false });
        const state = await pooler.state({});
        assert.deepEqual([state.mode, state.epoch, state.hold?.epoch, state.version], ["paused", 1, 1, version]);
        assert.ok(Math.abs((state.hold?.pausedAt ?? 0) - systemClock.now()) < 5_000);
        assert.deepEqual(await pooler.pause(request(), {}), { kind: "done", drained: true, cutLogin: false });
        assert.deepEqual([(await pooler.state({})).hold?.turn, state.hold?.turn], [2, 1]);
        assert.deepEqual(await pooler.resume({ epoch: 1 }, {}), { kind: "done" });
        assert.deepEqual(await pooler.resume({ epoch: 1 }, {}), { kind: "done" });
        assert.equal((await pooler.state({})).mode, "serving");
        assert.equal(await readHold(systemFiles, holdOf(file)), undefined);
        assert.deepEqual(commandsThatAct(memory), ["SUSPEND", "RESUME", "PAUSE", "PAUSE", "RESUME", "RESUME"]);
      },
      { version },
    );
  });
}

test("a login in flight is waited for, and one that does not end has a switch given up before it paused anything", async () => {
  await withPooler(async ({ memory, pooler }) => {
    memory.loginsInFlight = 1;
    const pausing = pooler.pause(request({ drainMs: 5_000 }), {});
    await eventually(
      "it is waited for",
      async () => memory.commands.filter((each) => each === "SHOW POOLS").length > 3,
    );
    assert.equal(memory.paused, false);
    memory.loginsInFlight = 0;
    assert.deepEqual(await pausing, { kind: "done", drained: true, cutLogin: false });
    await pooler.resume({ epoch: 1 }, {});
    memory.loginsInFlight = 1;
    assert.deepEqual(await pooler.pause(request(), {}), { kind: "not-drained", because: "login-in-flight" });
    assert.equal(memory.commands.filter((each) => each === "PAUSE").length, 1);
  });
});

test("a pooler that cannot be made quiet is not left suspended, and is paused by looking in the end", async () => {
  await withPooler(async ({ memory, pooler }) => {
    // A client is stuck: nobody serves it, and no login is in flight.
    memory.clientsWaiting = 1;
    const done = await pooler.pause(request({ drainMs: 5_000 }), {});
    assert.deepEqual(done, { kind: "done", drained: true, cutLogin: false });
    assert.deepEqual([memory.suspended, memory.paused], [false, true]);
    const acted = commandsThatAct(memory);
    assert.ok(acted.includes("SUSPEND"));
    assert.deepEqual(acted.slice(-2), ["RESUME", "PAUSE"]);
  });
});

test("a login that goes on while nobody waits for it is waited for before a suspended pooler is paused", async () => {
  await withPooler(async ({ memory, pooler }) => {
    const pausing = pooler.pause(request({ drainMs: 5_000 }), {});
    await eventually("it is suspended", async () => {
      // Its client left while the pooler was suspended.
      if (memory.suspended) memory.loginsInFlight = 1;
      return memory.suspended || memory.paused;
    });
    if (memory.suspended) {
      await systemClock.sleep(20, {});
      assert.equal(memory.paused, false);
      memory.loginsInFlight = 0;
    }
    assert.equal((await pausing).kind, "done");
  });
});

test("an abort while suspended leaves nobody suspended", async () => {
  await withPooler(async ({ memory, pooler }) => {
    memory.clientsWaiting = 1;
    const stopping = new AbortController();
    const pausing = pooler.pause(request({ drainMs: 5_000 }), { signal: stopping.signal });
    await eventually("it is suspended", async () => memory.suspended);
    stopping.abort();
    await assert.rejects(pausing, { code: "platform.aborted" });
    assert.deepEqual([memory.suspended, memory.paused], [false, false]);
  });
});

test("a server that is given up: paused at once, with what runs and a login in flight left to their fate", async () => {
  await withPooler(async ({ memory, pooler, file }) => {
    memory.active = [{ id: 1, server: OLD }];
    memory.loginsInFlight = 1;
    const done = await pooler.pause(request({ drain: false }), {});
    assert.deepEqual(done, { kind: "done", drained: false, cutLogin: true });
    assert.equal(memory.paused, true);
    assert.notEqual(await readHold(systemFiles, holdOf(file)), undefined);
  });
});

test("a server that is only suspected: a login in flight is not cut, nobody is paused, and no hold is left", async () => {
  await withPooler(async ({ memory, pooler, file }) => {
    memory.loginsInFlight = 1;
    const spared = await pooler.pause(request({ drain: false, sparing: true }), {});
    assert.deepEqual(spared, { kind: "not-drained", because: "login-in-flight" });
    assert.deepEqual([memory.paused, memory.loginsInFlight], [false, 1]);
    assert.equal(await readHold(systemFiles, holdOf(file)), undefined);
    memory.loginsInFlight = 0;
    const done = await pooler.pause(request({ drain: false, sparing: true }), {});
    assert.deepEqual([done.kind, memory.paused], ["done", true]);
  });
});

test("a server that is gone: paused by one command, without a look at logins, which would fail anyway", async () => {
  await withPooler(async ({ memory, pooler, file }) => {
    memory.loginsInFlight = 1;
    const before = memory.commands.length;
    const done = await pooler.pause(request({ drain: false, gone: true }), {});
    assert.deepEqual(done, { kind: "done", drained: true, cutLogin: false });
    assert.deepEqual([memory.paused, memory.commands.slice(before)], [true, ["PAUSE"]]);
    assert.notEqual(await readHold(systemFiles, holdOf(file)), undefined);
    // Repeated it is paused still.
    assert.equal((await pooler.pause(request({ drain: false, gone: true }), {})).kind, "done");
    assert.equal(memory.paused, true);
  });
});

test("statements that do not end in time have the pause taken back, and its hold with it", async () => {
  await withPooler(async ({ memory, pooler, file }) => {
    memory.active = [{ id: 1, server: OLD }];
    assert.deepEqual(await pooler.pause(request(), {}), { kind: "not-drained", because: "statements-run" });
    assert.deepEqual(commandsThatAct(memory), ["SUSPEND", "RESUME", "PAUSE", "RESUME"]);
    assert.equal(await readHold(systemFiles, holdOf(file)), undefined);
  });
});

test("a smaller epoch is refused by every act and changes nothing", async () => {
  await withPooler(async ({ memory, pooler, file }) => {
    await pooler.pause(request({ epoch: 7 }), {});
    const before = [await readFile(file, "utf8"), await readHold(systemFiles, holdOf(file)), memory.commands.length];
    const stale = { kind: "stale-epoch", seen: 7 };
    assert.deepEqual(await pooler.pause(request({ epoch: 6 }), {}), stale);
    assert.deepEqual(await pooler.resume({ epoch: 6 }, {}), stale);
    assert.deepEqual(await pooler.repoint({ epoch: 6, server: NEW }, {}), stale);
    assert.deepEqual(await pooler.dropDead({ epoch: 6, server: OLD }, {}), stale);
    assert.deepEqual(
      [await readFile(file, "utf8"), await readHold(systemFiles, holdOf(file)), memory.commands.length],
      before,
    );
  });
});

test("repointing is durable before the pooler reads it, can be repeated, and is seen or told", async () => {
  await withPooler(async ({ memory, pooler, file }) => {
    assert.deepEqual(await pooler.repoint({ epoch: 2, server: NEW }, {}), { kind: "done" });
    assert.deepEqual(memory.databases[0]?.server, NEW);
    const { epoch, databases } = await readDatabases({ files: systemFiles }, file);
    assert.deepEqual([epoch, databases[0]?.server], [2, NEW]);
    assert.deepEqual(await pooler.repoint({ epoch: 2, server: NEW }, {}), { kind: "done" });
    memory.reloadFails = true;
    await assert.rejects(pooler.repoint({ epoch: 3, server: OLD }, {}), (error) => {
      assert(isLifeboatError(error, "pooler.not-repointed"));
      assert.match(error.message, /catalog .* leads to 10\.0\.0\.2:5433, expected 10\.0\.0\.1:5432/);
      return true;
    });
  });
});

test("wherever writing fails while a pooler is repointed, its file says the old place or the new one and no pooler was told", async () => {
  for (let at = 1, reached = true; reached; at += 1) {
    const faulty = faultyFiles(systemFiles, { at, errno: "EIO", when: "after", forever: true });
    await withPooler(
      async ({ memory, pooler, file }) => {
        const outcome = await pooler.repoint({ epoch: 2, server: NEW }, {}).then(
          () => "done",
          () => "failed",
        );
        reached = outcome === "failed";
        const text = parseDatabases(await readFile(file, "utf8"));
        assert.ok(text !== undefined && [OLD.port, NEW.port].includes(text.databases[0]?.server.port ?? 0));
        if (reached) assert.deepEqual(memory.commands, []);
      },
      { files: faulty.files },
    );
  }
});

test("clients of a dead server are ended where the version can do so without ending others, and counted where not", async () => {
  const active = [
    { id: 1, server: OLD },
    { id: 2, server: NEW },
    { id: 3, server: OLD },
  ];
  await withPooler(async ({ memory, pooler }) => {
    memory.active = active;
    assert.deepEqual(await pooler.dropDead({ epoch: 1, server: OLD }, {}), { kind: "left", clients: 2 });
    assert.equal(memory.active.length, 3);
  });
  await withPooler(
    async ({ memory, pooler }) => {
      memory.active = active;
      assert.deepEqual(await pooler.dropDead({ epoch: 1, server: OLD }, {}), { kind: "dropped", clients: 2 });
      assert.deepEqual(
        memory.active.map(({ id }) => id),
        [2],
      );
    },
    { version: DEBIAN_13 },
  );
});

test("old connections are waited for until they are closed or the time is over", async () => {
  await withPooler(async ({ memory, pooler }) => {
    assert.equal(await pooler.waitForClose({ timeoutMs: 1_000 }, {}), true);
    memory.active = [{ id: 1, server: OLD }];
    assert.equal(await pooler.waitForClose({ timeoutMs: 20 }, {}), false);
  });
});

test("one that shuts down refuses to resume, and says so in its state", async () => {
  await withPooler(async ({ memory, pooler }) => {
    await pooler.pause(request(), {});
    memory.shuttingDown = true;
    await assert.rejects(pooler.resume({ epoch: 1 }, {}), { code: "pooler.refused" });
    assert.equal((await pooler.state({})).mode, "ending");
  });
});

test("a pause that a person made shows without a hold, and a database's own pause by its name", async () => {
  await withPooler(async ({ memory, pooler }) => {
    memory.paused = true;
    memory.pausedDatabases = ["catalog"];
    const { mode, hold, pausedDatabases } = await pooler.state({});
    assert.deepEqual([mode, hold, pausedDatabases], ["paused", undefined, ["catalog"]]);
  });
});

test("a console that hangs is out of reach, and an abort ends the wait for it at once", async () => {
  await withPooler(async ({ memory, pooler }) => {
    memory.silent = true;
    const stopping = AbortSignal.timeout(50);
    await assert.rejects(pooler.pause(request(), { signal: stopping }), { code: "platform.aborted" });
    await assert.rejects(pooler.resume({ epoch: 1 }, {}), { code: "pooler.unreachable" });
  });
});

test("files that are not understood are told, and a hold that is not hinders no pause", async () => {
  await withPooler(async ({ pooler, file }) => {
    await writeFile(holdOf(file), "{");
    await assert.rejects(readHold(systemFiles, holdOf(file)), { code: "pooler.file-damaged" });
    assert.equal((await pooler.pause(request(), {})).kind, "done");
    await writeFile(file, "[databases]\n");
    await assert.rejects(pooler.resume({ epoch: 1 }, {}), { code: "pooler.file-damaged" });
  });
});

test("a lock that is not free in time is told", async () => {
  await withPooler(async ({ pooler, file }) => {
    const lock = systemLocks.tryAcquire(`${file}.lock`);
    try {
      await assert.rejects(pooler.resume({ epoch: 1 }, {}), { code: "pooler.busy" });
    } finally {
      lock?.release();
    }
  });
});
