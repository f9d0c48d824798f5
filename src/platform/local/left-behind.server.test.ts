/** A postmaster that is killed alone, as the kernel does that has no memory left. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { eventually, temporaryFolder } from "../../../test/support/receivers.ts";
import { startServer } from "../../../test/support/servers.ts";
import { systemClock } from "../clock.ts";
import { systemFiles } from "../files.ts";
import { systemLocks } from "../lock.ts";
import { systemProcesses } from "../processes.ts";
import { logFolderOf, Supervisor } from "./supervisor.ts";

test("a node whose postmaster was killed alone is called ended when no backend commits any more, and starts again", async () => {
  await using server = await startServer({ started: false });
  await using at = await temporaryFolder("left-behind");
  await systemFiles.makeFolder(logFolderOf(at.folder), 0o700);
  const notices: string[] = [];
  const ports = { files: systemFiles, processes: systemProcesses, clock: systemClock, locks: systemLocks };
  const supervisor = await Supervisor.open({ ...ports, notice: (message) => notices.push(message) }, at.folder);
  assert(supervisor !== undefined);
  const { installation, dataFolder, port, socketFolder, user } = server.server.setup;
  const spec = {
    name: "db",
    program: path.join(installation.binFolder, "postgres"),
    arguments: ["-D", dataFolder, "-c", `port=${port}`, "-c", `unix_socket_directories=${socketFolder}`],
    environment: {},
    workFolder: "/",
    runAs: user,
    ports: [],
    restart: "never",
    stop: { signal: "SIGINT", timeoutMs: 10_000 },
  } as const;
  const hereNow = async (): Promise<readonly number[]> => {
    const here: number[] = [];
    for (const pid of await systemProcesses.all()) {
      if (!(await systemProcesses.isAlive(pid))) continue;
      if ((await systemProcesses.worksIn(pid, dataFolder)) === "yes") here.push(pid);
    }
    return here;
  };
  const accepts = (): Promise<boolean> =>
    server.value("SELECT 1").then(
      () => true,
      () => false,
    );
  try {
    await supervisor.start(spec);
    await eventually("it accepts", accepts);
    await server.query("CREATE TABLE counted (n int)");
    const busy = server.query("DO $$ BEGIN LOOP INSERT INTO counted VALUES (1); COMMIT; END LOOP; END $$");
    busy.catch(() => undefined);
    await eventually("it commits", async () => (await server.value("SELECT count(*) > 9 FROM counted")) === "true");
    const postmaster = Number.parseInt(await readFile(path.join(dataFolder, "postmaster.pid"), "utf8"), 10);
    systemProcesses.signal(postmaster, "SIGKILL");
    await eventually("its end is seen", async () => supervisor.state()[0]?.mode === "ended");
    assert.deepEqual(await hereNow(), []);
    await assert.rejects(busy);
    assert.match(notices.join("\n"), /^db: ended what had outlived its process: /);
    await supervisor.start(spec);
    await eventually("it accepts", accepts);
    // What ends in order leaves nothing to look for.
    assert.deepEqual(await supervisor.stop("db"), { killed: false });
    assert.equal(notices.length, 1);
  } finally {
    await supervisor.end();
  }
});
