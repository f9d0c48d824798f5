/** What a supervisor does on a disk that has no room left. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { eventually, temporaryFolder } from "../../../test/support/receivers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { systemClock } from "../clock.ts";
import { COUNTS_AND_STAYS, scriptSpec, startsIn } from "../conformance/conformance.ts";
import { type Files, fileError, systemFiles } from "../files.ts";
import { systemLocks } from "../lock.ts";
import { systemProcesses } from "../processes.ts";
import { logFolderOf, Supervisor } from "./supervisor.ts";

/** A disk on which nothing new can be written while it is full; only removing the reserve makes room. */
class SmallDisk {
  full = false;
  /** False: somebody else takes the room at once. */
  reserveHelps = true;
  /** Whoever opens a file waits for this. */
  hangs: Promise<void> | undefined;
  readonly files: Files;

  constructor(supervisorFolder: string) {
    const reserve = path.join(supervisorFolder, "reserve");
    this.files = {
      ...systemFiles,
      open: async (file, mode, permissions) => {
        await this.hangs;
        const room =
          !this.full || (this.reserveHelps && file !== reserve && (await systemFiles.stat(reserve)) === undefined);
        if (mode === "read" || room) return await systemFiles.open(file, mode, permissions);
        throw fileError("write", file, Object.assign(new Error("no space left"), { code: "ENOSPC" }));
      },
    };
  }
}

async function onSmallDisk(
  work: (given: { supervisor: Supervisor; disk: SmallDisk; folder: string; notices: string[] }) => Promise<void>,
): Promise<void> {
  await using at = await temporaryFolder("full-disk");
  const folder = path.join(at.folder, "supervisor");
  await systemFiles.makeFolder(logFolderOf(folder), 0o700);
  const disk = new SmallDisk(folder);
  const notices: string[] = [];
  const notice = (message: string): void => void notices.push(message);
  const tools = { files: disk.files, processes: systemProcesses, clock: systemClock, locks: systemLocks, notice };
  const supervisor = await Supervisor.open(tools, folder);
  assert(supervisor !== undefined);
  try {
    await work({ supervisor, disk, folder: at.folder, notices });
  } finally {
    disk.full = false;
    await supervisor.end();
  }
}

test("a fence is durable on a full disk: room was kept for it", async () => {
  await onSmallDisk(async ({ supervisor, disk, folder }) => {
    await supervisor.start(scriptSpec(folder, "db", "exec sleep 1000"));
    disk.full = true;
    assert.equal((await supervisor.fence("db")).ran, true);
    const record: unknown = JSON.parse(await readFile(path.join(folder, "supervisor/components.json"), "utf8"));
    assert.equal(typeof (record as { components: { db: { fencedAt: unknown } } }).components.db.fencedAt, "number");
    disk.full = false;
    await supervisor.unfence("db");
    await supervisor.tidy();
    assert.notEqual(await systemFiles.stat(path.join(folder, "supervisor/reserve")), undefined, "kept again");
  });
});

test("without even that room a component is stopped all the same, none is started, and what ends is tried again", async () => {
  await onSmallDisk(async ({ supervisor, disk, folder, notices }) => {
    await supervisor.start(scriptSpec(folder, "one", "exec sleep 1000"));
    await supervisor.start(scriptSpec(folder, "kept", COUNTS_AND_STAYS, { restart: "on-failure" }));
    await eventually("it runs", async () => (await startsIn(folder)) === 1);
    disk.reserveHelps = false;
    disk.full = true;
    assert.deepEqual(await supervisor.stop("one"), { killed: false });
    assert.ok(notices.some((each) => each.startsWith("the record does not say that one is down")));
    await assert.rejects(supervisor.start(scriptSpec(folder, "two", "exec sleep 1000")), (error) =>
      isLifeboatError(error, "platform.disk-full"),
    );
    const kept = supervisor.state().find(({ name }) => name === "kept");
    assert.equal(kept?.mode, "running");
    const record: unknown = JSON.parse(await readFile(path.join(folder, "supervisor/components.json"), "utf8"));
    process.kill(
      (record as { components: { kept: { process: { pid: number } } } }).components.kept.process.pid,
      "SIGKILL",
    );
    await eventually("its starts fail", async () => {
      const state = supervisor.state().find(({ name }) => name === "kept");
      return state?.mode === "backing-off" && state.restarts > 0 && /ENOSPC/.test(state.lastEnd ?? "");
    });
    disk.full = false;
    await eventually("it runs again", async () => (await startsIn(folder)) === 2);
  });
});

test("a fence that cannot be recorded kills all the same and says that it is not recorded, and is durable once it can be", async () => {
  await onSmallDisk(async ({ supervisor, disk, folder }) => {
    await supervisor.start(scriptSpec(folder, "db", COUNTS_AND_STAYS));
    await eventually("it runs", async () => (await startsIn(folder)) === 1);
    disk.reserveHelps = false;
    disk.full = true;
    await assert.rejects(supervisor.fence("db"), (error) => isLifeboatError(error, "platform.disk-full"));
    const [state] = supervisor.state();
    assert.deepEqual([state?.mode, state?.lastEnd], ["fenced", "killed by a fence"]);
    disk.full = false;
    assert.equal((await supervisor.fence("db")).ran, false);
    const record: unknown = JSON.parse(await readFile(path.join(folder, "supervisor/components.json"), "utf8"));
    assert.equal(typeof (record as { components: { db: { fencedAt: unknown } } }).components.db.fencedAt, "number");
  });
});

test("a fence does not wait for a disk that hangs before it kills", async () => {
  await onSmallDisk(async ({ supervisor, disk, folder }) => {
    await supervisor.start(scriptSpec(folder, "db", COUNTS_AND_STAYS));
    await eventually("it runs", async () => (await startsIn(folder)) === 1);
    const hanging = Promise.withResolvers<void>();
    disk.hangs = hanging.promise;
    const fenced = supervisor.fence("db");
    try {
      await eventually("it was killed", async () => supervisor.state()[0]?.lastEnd === "killed by a fence");
    } finally {
      hanging.resolve();
    }
    assert.equal((await fenced).ran, true);
  });
});
