import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { eventually, temporaryFolder } from "../../../test/support/receivers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { type Clock, type Instant, type Monotonic, systemClock } from "../../platform/clock.ts";
import { faultyFiles } from "../../platform/faulty-files.ts";
import { systemFiles } from "../../platform/files.ts";
import { type Lock, type Locks, systemLocks } from "../../platform/lock.ts";
import { type LeasesUnderTest, testLeaseConformance } from "../conformance/conformance.ts";
import { type Epoch, Lease, NO_EPOCH } from "../lease.ts";
import { fileLeaseStore } from "./file-lease.ts";

const CLAIM = { holder: "a", floor: NO_EPOCH };

async function openFiles(): Promise<LeasesUnderTest> {
  const temporary = await temporaryFolder("lease");
  let shiftMs = 0;
  const clock: Clock = {
    now: () => (systemClock.now() + shiftMs) as Instant,
    monotonic: () => (systemClock.monotonic() + shiftMs) as Monotonic,
    sleep: () => Promise.resolve(),
  };
  const locks: Lock[] = [];
  return {
    claimant: () => {
      // What its process holds ends with it.
      const own: Lock[] = [];
      const ours: Locks = {
        tryAcquire: (file) => {
          const lock = systemLocks.tryAcquire(file);
          if (lock !== undefined) own.push(lock);
          if (lock !== undefined) locks.push(lock);
          return lock;
        },
      };
      const store = fileLeaseStore({ files: systemFiles, locks: ours, clock }, temporary.folder);
      return { store, clock, crash: () => releaseAll(own) };
    },
    pass: async (durationMs) => {
      shiftMs += durationMs;
    },
    takeover: "at-once",
    expires: false,
    restart: async () => undefined,
    close: async () => {
      releaseAll(locks);
      await temporary[Symbol.asyncDispose]();
    },
  };
}

testLeaseConformance("leases in a folder", openFiles, { rounds: 300 });

test("an epoch that was granted is on the disk, and one whose record failed is granted to nobody", async () => {
  await using temporary = await temporaryFolder("lease");
  const tools = { clock: systemClock, locks: systemLocks };
  let last = 0;
  for (let at = 1; ; at += 1) {
    const faulty = faultyFiles(systemFiles, { at, errno: "EIO", when: at % 2 === 0 ? "before" : "after" });
    const store = fileLeaseStore({ ...tools, files: faulty.files }, temporary.folder);
    const claimed = await Lease.claim({ clock: systemClock, store }, CLAIM, {}).catch((error: unknown) => {
      assert.ok(isLifeboatError(error, "lease.store-failed") || isLifeboatError(error, "platform.file-failed"));
      return undefined;
    });
    if (claimed === undefined) continue;
    assert.ok(claimed.kind === "holder" && claimed.lease.epoch > last);
    last = claimed.lease.epoch;
    const recorded: unknown = JSON.parse(await readFile(path.join(temporary.folder, "epoch.json"), "utf8"));
    assert.ok(typeof recorded === "object" && recorded !== null && "epoch" in recorded);
    assert.equal(recorded.epoch, last);
    await claimed.lease.end();
    if (faulty.effects.length < at) break;
  }
});

test("an epoch file that cannot be read is refused, and the lock is given back", async () => {
  await using temporary = await temporaryFolder("lease");
  const store = fileLeaseStore({ files: systemFiles, locks: systemLocks, clock: systemClock }, temporary.folder);
  const file = path.join(temporary.folder, "epoch.json");
  await writeFile(file, '{"format":"lifeboat-epoch","version":1,"epo');
  await assert.rejects(Lease.claim({ clock: systemClock, store }, CLAIM, {}), (error) =>
    isLifeboatError(error, "lease.record-damaged"),
  );
  await rm(file);
  const answer = await Lease.claim({ clock: systemClock, store }, { holder: "a", floor: 6 as Epoch }, {});
  assert.ok(answer.kind === "holder" && answer.lease.epoch === 7);
  await answer.lease.end();
});

test("a holder whose folder was removed has lost it at its next renewal", async () => {
  await using temporary = await temporaryFolder("lease");
  const folder = path.join(temporary.folder, "inner");
  const store = fileLeaseStore({ files: systemFiles, locks: systemLocks, clock: systemClock }, folder);
  const answer = await Lease.claim({ clock: systemClock, store }, CLAIM, {});
  assert.ok(answer.kind === "holder");
  await rm(folder, { recursive: true });
  await answer.lease.renew({});
  assert.ok(answer.lease.isLost);
  await answer.lease.end();
});

test("another process that is halted keeps others out, and one that is killed lets them in", async () => {
  await using temporary = await temporaryFolder("lease");
  const child = spawn(process.execPath, ["--input-type=module", "-e", childCode(temporary.folder)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    const store = fileLeaseStore({ files: systemFiles, locks: systemLocks, clock: systemClock }, temporary.folder);
    child.kill("SIGSTOP");
    const refused = await Lease.claim({ clock: systemClock, store }, CLAIM, {});
    assert.ok(refused.kind === "held");
    assert.deepEqual(refused.by, { holder: "the child", epoch: 1 });
    child.kill("SIGKILL");
    const lease = await eventually("the killed process's lease is free", async () => {
      const answer = await Lease.claim({ clock: systemClock, store }, CLAIM, {});
      return answer.kind === "holder" && answer.lease;
    });
    assert.equal(lease.epoch, 2);
    await lease.end();
  } finally {
    child.kill("SIGKILL");
  }
});

function releaseAll(locks: readonly Lock[]): void {
  for (const lock of locks) lock.release();
}

function childCode(folder: string): string {
  const from = (file: string): string => JSON.stringify(import.meta.resolve(file));
  return `
    const { Lease, NO_EPOCH } = await import(${from("../lease.ts")});
    const { fileLeaseStore } = await import(${from("./file-lease.ts")});
    const { systemFiles: files } = await import(${from("../../platform/files.ts")});
    const { systemLocks: locks } = await import(${from("../../platform/lock.ts")});
    const { systemClock: clock } = await import(${from("../../platform/clock.ts")});
    const store = fileLeaseStore({ files, locks, clock }, ${JSON.stringify(folder)});
    globalThis.kept = await Lease.claim({ clock, store }, { holder: "the child", floor: NO_EPOCH }, {});
    console.log(globalThis.kept.kind);
    setInterval(() => {}, 1000);`;
}
