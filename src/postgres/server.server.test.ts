import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { test } from "node:test";
import {
  installationOf,
  MAJORS,
  PORTS,
  SUPERUSER,
  serverUser,
  type TestServer,
  withServer,
} from "../../test/support/servers.ts";
import { withoutLooking } from "../../test/support/without-looking.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import type { Processes } from "../platform/processes.ts";
import { initCluster, writeSettings } from "./cluster.ts";
import { LocalServer, type ServerSetup } from "./server.ts";

const START = { until: "accepting", timeoutMs: 60_000 } as const;

function is(code: ErrorCode, words = /./) {
  return (error: unknown) => {
    assert.ok(isLifeboatError(error, code), String(error));
    assert.match(error.message, words);
    assert.ok(error.remedy.length > 0);
    return true;
  };
}

/** The same server set up another way. */
function changed(server: TestServer, change: Partial<ServerSetup>): LocalServer {
  return new LocalServer(PORTS, { ...server.server.setup, ...change });
}

async function pidOf(server: TestServer): Promise<number> {
  const state = await server.server.state();
  assert.ok("pid" in state);
  return state.pid;
}

/** The ids of all System V shared memory segments of the machine. */
async function sharedMemoryIds(): Promise<ReadonlySet<string | undefined>> {
  const lines = (await systemFiles.readFile("/proc/sysvipc/shm")).toString().split("\n").slice(1);
  return new Set(lines.map((line) => line.trim().split(/\s+/)[1]));
}

for (const major of [...MAJORS, "system"] as const) {
  test(`PostgreSQL ${major}: starts, answers on socket and TCP, stops, starts again`, async () => {
    await withServer({ major }, async (server) => {
      assert.equal((await server.server.state()).kind, "ready");
      assert.equal(await server.value("show data_checksums"), "on");
      assert.equal(await server.value("show server_encoding"), "UTF8");
      const [row] = await server.query("select current_user as me", [], { over: "tcp" });
      assert.equal(row?.["me"], SUPERUSER.name);
      const wrong = server.server.connect({ over: "tcp", password: "wrong" }, {});
      await assert.rejects(wrong, is("postgres.login-refused"));
      const pid = await pidOf(server);
      const user = await serverUser();
      if (user !== undefined) assert.equal((await systemFiles.stat(`/proc/${pid}`))?.uid, user.uid);
      await server.stop();
      assert.deepEqual(await server.server.state(), { kind: "stopped" });
      assert.equal(await PORTS.processes.isAlive(pid), false);
      await server.stop();
      await server.start();
      assert.equal((await server.server.state()).kind, "ready");
    });
  });
}

test("killed: no process is left, it counts as crashed, and the next start has what was committed", async () => {
  await withServer({}, async (server) => {
    await server.query("create table t as select 1 as i");
    const pid = await pidOf(server);
    const family = await PORTS.processes.tree(pid);
    assert.ok(family.length > 3);
    const pidFile = (await systemFiles.readFile(path.join(server.dataFolder, "postmaster.pid"))).toString();
    const segment = pidFile.split("\n")[6]?.trim().split(/\s+/)[1] ?? "";
    assert.ok((await sharedMemoryIds()).has(segment));
    await server.server.kill();
    assert.ok(!(await sharedMemoryIds()).has(segment));
    for (const each of family) assert.equal(await PORTS.processes.isAlive(each), false);
    assert.deepEqual(await server.server.state(), { kind: "crashed", pid });
    await server.server.kill();
    assert.equal(await server.server.reload(), false);
    await server.start("recovered");
    assert.equal(await server.value("select i from t"), "1");
  });
});

test("a smart stop waits for clients and says so; a fast one does not wait", async () => {
  await withServer({}, async (server) => {
    const session = await server.server.connect({}, {});
    const smart = server.server.stop({ mode: "smart", timeoutMs: 100 });
    await assert.rejects(smart, is("postgres.stop-timeout", /smart/));
    await server.stop("fast");
    assert.equal((await server.server.state()).kind, "stopped");
    await session.close();
  });
});

test("a stop and a start end when they are told to", async () => {
  await withServer({}, async (server) => {
    const session = await server.server.connect({}, {});
    const controller = new AbortController();
    const smart = server.server.stop({ mode: "smart", timeoutMs: 60_000, signal: controller.signal });
    controller.abort();
    await assert.rejects(smart, is("platform.aborted"));
    await session.close();
    const started = server.server.start({ ...START, signal: controller.signal });
    await assert.rejects(started, is("platform.aborted"));
  });
});

test("a start that is given up leaves no process, however early that is", async () => {
  await withServer({ started: false }, async (server) => {
    const controller = new AbortController();
    const pids: number[] = [];
    const processes: Processes = {
      ...PORTS.processes,
      start: async (request) => {
        const running = await PORTS.processes.start(request);
        pids.push(running.pid);
        controller.abort();
        return running;
      },
    };
    const impatient = new LocalServer({ ...PORTS, processes }, server.server.setup);
    await assert.rejects(impatient.start({ ...START, signal: controller.signal }), is("platform.aborted"));
    assert.equal(pids.length, 1);
    for (const pid of pids) while (await PORTS.processes.isAlive(pid)) await systemClock.sleep(5, {});
  });
});

test("a data folder whose server runs is not started twice", async () => {
  await withServer({}, async (server) => {
    await assert.rejects(server.start(), is("postgres.already-running", /process \d+/));
  });
});

test("a server that root may not look into starts unasked, and is seen to run also where nobody can be asked", async () => {
  await withServer({ started: false }, async (server) => {
    const { dataFolder } = server;
    const unseen = { ...PORTS.processes, worksIn: () => assert.fail("a start asks what its own process works in") };
    await new LocalServer({ ...PORTS, processes: unseen }, server.server.setup).start(START);
    const code = `
      const { systemProcesses: processes } = await import(src + "/platform/processes.ts");
      const { systemFiles: files } = await import(src + "/platform/files.ts");
      const { systemClock: clock } = await import(src + "/platform/clock.ts");
      const { LocalServer } = await import(src + "/postgres/server.ts");
      const server = new LocalServer({ files, processes, clock }, ${JSON.stringify({ dataFolder })});
      return await server.state().then(({ kind }) => kind, ({ code }) => code);`;
    for (const asking of [true, false]) assert.equal(await withoutLooking(code, { asking }), "ready");
  });
});

test("a port that is taken is named", async () => {
  await withServer({ started: false }, async (server) => {
    const { port } = server.server.setup;
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
    try {
      await assert.rejects(server.start(), is("postgres.port-busy", new RegExp(`port ${port} is in use`)));
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
    await server.start();
  });
});

test("a socket folder with too long or relative a path is refused before anything is started", async () => {
  await withServer({ started: false }, async (server) => {
    for (const socketFolder of [path.join(server.folder, "x".repeat(100)), "relative"]) {
      await assert.rejects(changed(server, { socketFolder }).start(START), is("postgres.socket-path-too-long"));
    }
    assert.equal((await server.server.state()).kind, "stopped");
  });
});

test("a socket folder that is not there is made, closed to others", async () => {
  await withServer({ started: false }, async (server) => {
    const socketFolder = path.join(server.folder, "sockets");
    const other = changed(server, { socketFolder });
    await other.start(START);
    const session = await other.connect({}, {});
    await session.close();
    assert.equal((await systemFiles.stat(socketFolder))?.mode, 0o700);
  });
});

test("a setting that the server does not take fails the start with the words of its log", async () => {
  await withServer({ started: false, settings: { no_such_setting: 1 } }, async (server) => {
    await assert.rejects(server.start(), (error) => {
      is("postgres.start-failed", /no_such_setting|contains errors/)(error);
      assert.ok(isLifeboatError(error) && /Correct the setting/.test(error.remedy));
      return true;
    });
    assert.match(await server.server.logTail(), /no_such_setting/);
  });
});

test("a standby with less capacity than its primary had: the setting is named", async () => {
  await withServer({ started: false, settings: { max_connections: 20 } }, async (server) => {
    await writeFile(path.join(server.dataFolder, "standby.signal"), "");
    await assert.rejects(server.start(), is("postgres.start-failed", /insufficient.*max_connections = 20.*100/));
  });
});

test("a standby without connections: the wait ends in time, and the server is left running", async () => {
  await withServer({ started: false, settings: { hot_standby: false } }, async (server) => {
    await writeFile(path.join(server.dataFolder, "standby.signal"), "");
    const short = { until: "accepting", timeoutMs: 500 } as const;
    await assert.rejects(server.server.start(short), is("postgres.start-timeout", /500 ms/));
    assert.equal((await server.server.state()).kind, "standby");
  });
});

test("a hot standby accepts connections, has not recovered, and does after promotion", async () => {
  await withServer({ started: false }, async (server) => {
    await writeFile(path.join(server.dataFolder, "standby.signal"), "");
    await server.start("accepting");
    assert.equal((await server.server.state()).kind, "ready");
    assert.equal(await server.value("select pg_is_in_recovery()"), "true");
    await server.stop();
    const short = { until: "recovered", timeoutMs: 1000 } as const;
    await assert.rejects(server.server.start(short), is("postgres.start-timeout", /not recovered/));
    await server.query("select pg_promote()");
    assert.equal(await server.value("select pg_is_in_recovery()"), "false");
    assert.equal((await server.server.state()).kind, "ready");
  });
});

test("halted it is still there and does nothing; resumed it answers", async () => {
  await withServer({}, async (server) => {
    const pid = await pidOf(server);
    await server.server.halt();
    assert.equal((await PORTS.processes.facts(pid))?.halted, true);
    assert.equal((await server.server.state()).kind, "ready");
    await server.server.resume();
    assert.equal(await server.value("select 1"), "1");
  });
});

test("a role that may not log in still shows that the server accepts connections and has recovered", async () => {
  await withServer({ started: false }, async (server) => {
    const stranger = changed(server, { superuser: { name: "stranger" } });
    await stranger.start({ ...START, until: "recovered" });
  });
});

test("a pid that now belongs to another process does not count as the server's", async () => {
  await withServer({ started: false }, async (server) => {
    await writeFile(path.join(server.dataFolder, "postmaster.pid"), `${process.pid}\n${server.dataFolder}\n`);
    assert.deepEqual(await server.server.state(), { kind: "crashed", pid: process.pid });
    await writeFile(path.join(server.dataFolder, "postmaster.pid"), "");
    assert.deepEqual(await server.server.state(), { kind: "stopped" });
  });
});

test("settings with quotes and backslashes arrive, and a reload takes new ones", async () => {
  await withServer({ settings: { cluster_name: "it's \\ here" } }, async (server) => {
    assert.equal(await server.value("show cluster_name"), "it's \\ here");
    const { dataFolder } = server;
    const user = await serverUser();
    await writeSettings(systemFiles, { dataFolder, user, settings: { work_mem: "123kB" }, unique: "test" });
    assert.equal(await server.server.reload(), true);
    // Each call is a session of its own; one that begins after the reload was taken sees it.
    while ((await server.value("show work_mem")) !== "123kB") await new Promise(setImmediate);
    const main = await systemFiles.readFile(path.join(dataFolder, "postgresql.conf"));
    assert.equal(main.toString().split("include_if_exists = 'lifeboat.conf'").length, 2);
  });
});

test("a folder that holds files is no place for a new cluster, and a failed initdb tells why", async () => {
  await withServer({ started: false }, async (server) => {
    const request = {
      installation: await installationOf(16),
      dataFolder: server.dataFolder,
      user: await serverUser(),
      superuser: SUPERUSER,
      socketAuthentication: "trust",
      unique: "test",
    } as const;
    await assert.rejects(initCluster(PORTS, request), is("postgres.cluster-exists"));
    const dataFolder = path.join(server.folder, "other");
    const failing = initCluster(PORTS, { ...request, dataFolder, locale: "no_such_locale" });
    await assert.rejects(failing, is("postgres.initdb-failed", /no_such_locale/));
    assert.deepEqual(
      (await systemFiles.list(server.folder)).map((entry) => entry.name).filter((name) => name.includes("password")),
      [],
    );
  });
});
