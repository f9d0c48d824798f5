import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { eventually, temporaryFolder } from "../../test/support/receivers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Monotonic, systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { askDaemon } from "./ask.ts";
import { wakeableClock } from "./sentinel.ts";
import { type StandByPlace, type StandByTools, standBy } from "./stand-by.ts";

function placeIn(folder: string): StandByPlace {
  const inside = (name: string): string => path.join(folder, name);
  return {
    lockFile: inside("daemon.lock"),
    socket: inside("daemon.sock"),
    own: { socket: inside("stand-by.sock"), lockFile: inside("stand-by.lock") },
  };
}

function toolsOf(warmUp: () => unknown, wakeable = systemClock): StandByTools {
  const tools = { files: systemFiles, locks: systemLocks, clock: systemClock, wakeable, pid: 4711 };
  return { ...tools, warmUp: async () => warmUp() === true };
}

/** A process that has the place and listens, and says so. */
function holderCode({ lockFile, socket }: StandByPlace): string {
  return `
    const { systemLocks } = await import(${JSON.stringify(import.meta.resolve("../platform/lock.ts"))});
    globalThis.kept = systemLocks.tryAcquire(${JSON.stringify(lockFile)});
    const net = await import("node:net");
    net.createServer().listen(${JSON.stringify(socket)}, () => console.log(globalThis.kept === undefined ? "busy" : "held"));`;
}

test("one that stands by does nothing while the holder is slow, frozen or asked to end, and has its place when it is killed", async () => {
  await using temporary = await temporaryFolder("stand-by");
  const place = placeIn(temporary.folder);
  const holder = spawn(process.execPath, ["--input-type=module", "-e", holderCode(place)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = new AbortController();
  try {
    const [said] = (await once(holder.stdout, "data")) as [Buffer];
    assert.equal(said.toString().trim(), "held");
    let warmUps = 0;
    let taken = false;
    const standing = standBy(
      toolsOf(() => {
        warmUps += 1;
      }),
      place,
      { signal: stop.signal },
    ).then((lock) => {
      taken = true;
      return lock;
    });
    const told = await eventually("it says who it is", async () => {
      const answer = await askDaemon(place.own.socket, { call: "hello" }, { silentMs: 5_000 });
      return answer !== undefined && warmUps > 0 && answer;
    });
    assert.deepEqual(told.result, { pid: 4711 });
    const asked = askDaemon(place.own.socket, { call: "promote" }, { silentMs: 5_000 });
    await assert.rejects(asked, (error) => isLifeboatError(error, "daemon.request-unknown"));
    holder.kill("SIGSTOP");
    assert.equal(systemLocks.tryAcquire(place.lockFile), undefined);
    assert.equal(taken, false);
    holder.kill("SIGKILL");
    const killedAt = systemClock.monotonic();
    const lock = await standing;
    assert.ok(systemClock.monotonic() - killedAt < 1_000);
    assert.equal(systemLocks.tryAcquire(place.lockFile), undefined);
    lock.release();
  } finally {
    stop.abort();
    holder.kill("SIGKILL");
  }
});

test("of two that stand by one takes the place, and the other one goes on, and answers in its stead, until it is ended", async () => {
  await using temporary = await temporaryFolder("stand-by");
  const place = placeIn(temporary.folder);
  const held = systemLocks.tryAcquire(place.lockFile);
  assert.ok(held !== undefined);
  const stop = new AbortController();
  const both = [0, 1].map((pid) => standBy({ ...toolsOf(() => undefined), pid }, place, { signal: stop.signal }));
  const whoAnswers = () => askDaemon(place.own.socket, { call: "hello" }, { silentMs: 5_000 }).catch(() => undefined);
  await eventually("the first one says who it is", async () => (await whoAnswers()) !== undefined);
  held.release();
  const [first, taker] = await Promise.race(both.map(async (each, pid) => [await each, pid] as const));
  const other = { pid: 1 - taker };
  await eventually("the other one does", async () => isDeepStrictEqual((await whoAnswers())?.result, other));
  stop.abort();
  const ends = await Promise.allSettled(both);
  const refused = ends.filter((each) => each.status === "rejected");
  assert.equal(refused.length, 1);
  assert.ok(isLifeboatError(refused[0]?.reason, "platform.aborted"));
  first.release();
  await eventually("its socket is gone", async () => (await systemFiles.stat(place.own.socket)) === undefined);
});

test("one that stands by looks at once when it is woken, and goes on looking as long as that tells more", async () => {
  await using temporary = await temporaryFolder("stand-by");
  const place = placeIn(temporary.folder);
  const held = systemLocks.tryAcquire(place.lockFile);
  const { clock, wake } = wakeableClock(systemClock);
  const stop = new AbortController();
  const looks: Monotonic[] = [];
  const standing = standBy(
    toolsOf(() => {
      looks.push(systemClock.monotonic());
      return looks.length >= 2 && looks.length < 5;
    }, clock),
    place,
    { signal: stop.signal },
  );
  await eventually("its first look", async () => looks.length === 1);
  wake();
  await eventually("four more", async () => looks.length === 5);
  // Left alone it looks once a second.
  assert.ok(Number(looks[4]) - Number(looks[0]) < 900);
  stop.abort();
  await assert.rejects(standing, (error) => isLifeboatError(error, "platform.aborted"));
  held?.release();
});

test("who stands by answers as soon as the one that answered before is gone", async () => {
  await using temporary = await temporaryFolder("stand-by");
  const place = placeIn(temporary.folder);
  const held = systemLocks.tryAcquire(place.lockFile);
  const stops = [new AbortController(), new AbortController()];
  const answers = async (pid: number): Promise<boolean> => {
    const told = await askDaemon(place.own.socket, { call: "hello" }, { silentMs: 5_000 }).catch(() => undefined);
    return isDeepStrictEqual(told?.result, { pid });
  };
  const standing: Promise<unknown>[] = [];
  for (const [pid, { signal }] of stops.entries()) {
    standing.push(assert.rejects(standBy({ ...toolsOf(() => undefined), pid }, place, { signal })));
    await eventually("the first one answers", () => answers(0));
  }
  stops[0]?.abort();
  await eventually("the other one does", () => answers(1));
  stops[1]?.abort();
  await Promise.all(standing);
  held?.release();
});
