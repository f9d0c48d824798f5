import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { eventually } from "../../test/support/receivers.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { formatDatabases } from "./databases-file.ts";
import { holdFileOf, readHold } from "./hold-file.ts";
import { MemoryPgBouncer } from "./memory/memory-pgbouncer.ts";
import { PgBouncer } from "./pgbouncer.ts";
import { type WatchEvent, watchPoolers } from "./watchdog.ts";

const SERVER = { host: "10.0.0.1", port: 5432 };
const TOOLS = { clock: systemClock, files: systemFiles, locks: systemLocks, random: systemRandom };

type Watched = {
  readonly memory: MemoryPgBouncer;
  readonly pooler: PgBouncer;
  readonly file: string;
};

/** Poolers in memory, all watched. */
async function withWatched(
  names: readonly string[],
  work: (watched: readonly Watched[], events: readonly WatchEvent[]) => Promise<void>,
  clock: Clock = systemClock,
): Promise<void> {
  await withFolder(async (folder) => {
    const watched = await Promise.all(names.map((name) => memoryPooler(folder, name)));
    const stopping = new AbortController();
    const events: WatchEvent[] = [];
    const watching = watchPoolers(
      { ...TOOLS, clock, onEvent: (event) => void events.push(event) },
      watched.map(({ memory, file }, index) => ({
        name: names[index] ?? "",
        console: memory.console(),
        databasesFile: file,
      })),
      { signal: stopping.signal },
    );
    try {
      await work(watched, events);
    } finally {
      stopping.abort();
      await watching;
    }
  });
}

async function memoryPooler(folder: string, name: string): Promise<Watched> {
  const file = path.join(folder, `${name}.ini`);
  const line = { name: "catalog", database: "catalog", server: SERVER };
  await writeFile(file, formatDatabases({ epoch: 0, databases: [line] }));
  const version = { major: 1, minor: 18, patch: 0 };
  const memory = new MemoryPgBouncer(systemClock, { version, databases: [line], readFile: async () => "" });
  const console = memory.console();
  const pooler = new PgBouncer(TOOLS, { name, console, waitingConsole: console, databasesFile: file });
  return { memory, pooler, file };
}

function pausing(holdMsMax: number, epoch = 1) {
  return { epoch, drain: true, drainMs: 1_000, holdMsMax };
}

test("a hold that runs out is ended in its time and two looks, and its file goes", async () => {
  await withWatched(["one"], async ([one], events) => {
    assert(one !== undefined);
    const begun = systemClock.monotonic();
    await one.pooler.pause(pausing(300), {});
    await eventually("clients go on", async () => !one.memory.paused);
    const tookMs = systemClock.monotonic() - begun;
    assert.ok(tookMs >= 300 && tookMs < 1_500, `${tookMs} ms`);
    await eventually("its file is gone", async () => {
      return (await readHold(systemFiles, holdFileOf({ name: "one", databasesFile: one.file }))) === undefined;
    });
    await eventually("it is told", async () => events.length > 0);
    const [event] = events;
    assert(event?.kind === "resumed");
    assert.deepEqual([event.pooler, event.hold.epoch, event.hold.holdMs], ["one", 1, 300]);
  });
});

test("a hold that is renewed is never ended, however long it goes on", async () => {
  await withWatched(["one"], async ([one], events) => {
    assert(one !== undefined);
    const until = systemClock.monotonic() + 1_500;
    while (systemClock.monotonic() < until) {
      await one.pooler.pause(pausing(400), {});
      await systemClock.sleep(50, {});
      assert.equal(one.memory.paused, true);
    }
    assert.deepEqual(events, []);
    await one.pooler.resume({ epoch: 1 }, {});
  });
});

test("a watchdog that was held up itself gives a hold its whole time again", async () => {
  let ahead = 0;
  const jumping: Clock = { ...systemClock, monotonic: () => (systemClock.monotonic() + ahead) as Monotonic };
  await withWatched(
    ["one"],
    async ([one], events) => {
      assert(one !== undefined);
      await one.pooler.pause(pausing(1_000), {});
      const looks = jumping.monotonic();
      await eventually("it was seen", async () => jumping.monotonic() - looks > 250);
      // Ten seconds in which this process did not run; the controller may have renewed a hundred times.
      ahead = 10_000;
      await eventually("it has looked again", async () => systemClock.monotonic() - looks > 600);
      assert.deepEqual([one.memory.paused, events], [true, []]);
      await eventually("clients go on in the end", async () => !one.memory.paused);
    },
    jumping,
  );
});

test("a pause that a person made is nobody else's to end, and a hold without a pause is put away", async () => {
  await withWatched(["by-hand", "left"], async ([byHand, left], events) => {
    assert(byHand !== undefined && left !== undefined);
    byHand.memory.paused = true;
    await left.pooler.pause(pausing(100), {});
    left.memory.paused = false;
    await eventually("the hold is put away", async () => events.length > 0);
    assert.equal(byHand.memory.paused, true);
    assert.deepEqual(
      events.map((event) => event.pooler),
      ["left"],
    );
  });
});

test("one that does not answer is told once, tried again, and delays no other", async () => {
  await withWatched(["silent", "well"], async ([silent, well], events) => {
    assert(silent !== undefined && well !== undefined);
    for (const { pooler } of [silent, well]) await pooler.pause(pausing(100), {});
    silent.memory.silent = true;
    await eventually("the other goes on", async () => !well.memory.paused);
    await eventually("it is told", async () => events.some(({ kind }) => kind === "failed"));
    silent.memory.silent = false;
    await eventually("it goes on too", async () => !silent.memory.paused);
    assert.equal(events.filter(({ kind }) => kind === "failed").length, 1);
  });
});

test("a controller that comes while a hold runs out has its own pause", async () => {
  await withWatched(["one"], async ([one], events) => {
    assert(one !== undefined);
    await one.pooler.pause(pausing(150, 1), {});
    // It renews just when the watchdog is about to act, again and again.
    for (let epoch = 2; epoch < 12; epoch += 1) {
      await systemClock.sleep(140, {});
      assert.equal((await one.pooler.pause(pausing(5_000, epoch), {})).kind, "done");
      assert.equal(one.memory.paused, true, `epoch ${epoch} is paused once it was told so`);
      await one.pooler.pause(pausing(150, epoch), {});
    }
    assert.ok(events.every(({ kind }) => kind === "resumed"));
  });
});
