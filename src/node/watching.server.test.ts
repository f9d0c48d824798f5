/** What a session that watches may say, and for how long, against real servers; time is the test's own. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { eventually } from "../../test/support/receivers.ts";
import { SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { SqlNode } from "./node.ts";

const CALL = { timeoutMs: 5_000 };
/** Of a look that will not be answered. */
const SHORT = { timeoutMs: 400 };
const NAME = "lifeboat_node";

type Watched = { readonly node: SqlNode; readonly pass: (ms: number) => void };

function watched(
  server: TestServer,
  address = server.server.setup.socketFolder,
  port = server.server.setup.port,
): Watched {
  const begun = systemClock.monotonic();
  let passedMs = 0;
  // However long the machine takes.
  const clock: Clock = { ...systemClock, monotonic: () => (begun + passedMs) as Monotonic };
  const node = nodeAt(clock, address, port);
  return {
    node,
    pass: (ms) => {
      passedMs += ms;
    },
  };
}

function nodeAt(clock: Clock, address: string, port: number): SqlNode {
  return new SqlNode(clock, {
    name: "node",
    address: {
      host: address,
      port,
      user: SUPERUSER.name,
      password: SUPERUSER.password,
      tls: { mode: "disable" },
      applicationName: NAME,
      connectTimeoutMs: 5_000,
    },
    connectionTo: () => ({ conninfo: "", slot: "" }),
    freeBytes: async () => 7,
    cloning: () => false,
  });
}

async function sessionsOf(server: TestServer): Promise<readonly number[]> {
  const rows = await server.query(
    "SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY backend_start",
    [NAME],
  );
  return rows.map(({ pid }) => Number(pid));
}

async function postmasterOf(server: TestServer): Promise<number> {
  return Number(await server.value("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)"));
}

/** Halts processes for as long as `work` takes. */
async function halted(pids: readonly number[], work: () => Promise<void>): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    await work();
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
}

test("looks of two seconds ask a primary over one session, and the next one over another", async () => {
  await using server = await startServer({ major: 16 });
  const { node, pass } = watched(server);
  for (const ms of [0, 900, 1_000]) {
    pass(ms);
    assert.equal((await node.probe(CALL)).kind, "answered");
  }
  const [first, ...others] = await sessionsOf(server);
  assert.deepEqual(others, []);
  pass(200);
  assert.equal((await node.probe(CALL)).kind, "answered");
  assert.deepEqual((await sessionsOf(server)).filter((pid) => pid !== first).length, 1);
});

test("a server that lets nobody in and serves sessions that are there is told of within two seconds (I10)", async () => {
  await using server = await startServer({ major: 16 });
  const { node, pass } = watched(server);
  assert.equal((await node.probe(CALL)).kind, "answered");
  await halted([await postmasterOf(server)], async () => {
    pass(1_900);
    assert.equal((await node.probe(CALL)).kind, "answered");
    pass(200);
    assert.deepEqual(await node.probe(SHORT), { kind: "silent" });
  });
});

test("a session that hangs by itself is not the server: the same look asks anew", async () => {
  await using server = await startServer({ major: 16 });
  const { socketFolder, port } = server.server.setup;
  // By the clock of the machine: a look that waited for it to the end has no time left.
  const node = nodeAt(systemClock, socketFolder, port);
  assert.equal((await node.probe(CALL)).kind, "answered");
  await halted(await sessionsOf(server), async () => {
    assert.equal((await node.probe(CALL)).kind, "answered");
  });
});

test("where something was wrong, no session from before is asked, however well it is", async () => {
  await using server = await startServer({ major: 16 });
  const { node, pass } = watched(server);
  // Two at a time: a session is for one look.
  await Promise.all([node.probe(CALL), node.probe(CALL)]);
  const sessions = await sessionsOf(server);
  assert.equal(sessions.length, 2);
  const postmaster = await postmasterOf(server);
  pass(300);
  await halted([postmaster, ...sessions], async () => {
    // It ends one of the two, and the other one goes on.
    assert.deepEqual(await node.probe(SHORT), { kind: "silent" });
  });
  await halted([postmaster], async () => {
    pass(300);
    assert.deepEqual(await node.probe(SHORT), { kind: "silent" });
  });
  assert.equal((await node.probe(CALL)).kind, "answered");
});

test("an address that leads to another server tells of that one within two seconds, whatever lives on at the first", async () => {
  await using first = await startServer({ major: 16 });
  await using second = await startServer({ major: 17 });
  let target = first;
  const sockets = new Set<net.Socket>();
  const way = net.createServer((client) => {
    const { socketFolder, port } = target.server.setup;
    const server = net.connect({ path: `${socketFolder}/.s.PGSQL.${port}` });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.pipe(to);
    }
  });
  way.listen(0, "127.0.0.1");
  await once(way, "listening");
  try {
    const { node, pass } = watched(first, "127.0.0.1", (way.address() as net.AddressInfo).port);
    const systemId = async () => {
      const probe = await node.probe(CALL);
      return probe.kind === "answered" ? probe.view.systemId : probe.kind;
    };
    const idOf = async (server: TestServer) =>
      await server.value("SELECT system_identifier::text FROM pg_control_system()");
    assert.equal(await systemId(), await idOf(first));
    target = second;
    pass(2_001);
    assert.equal(await systemId(), await idOf(second));
  } finally {
    for (const socket of sockets) socket.destroy();
    way.close();
    await eventually(
      "nobody is connected",
      async () => sockets.size === [...sockets].filter((each) => each.closed).length,
    );
  }
});

test("a server that was started again answers the next look, and none of its sessions from before is asked", async () => {
  await using server = await startServer({ major: 16 });
  const { node } = watched(server);
  assert.equal((await node.probe(CALL)).kind, "answered");
  await server.server.kill();
  assert.deepEqual(await node.probe(CALL), { kind: "nobody-listens" });
  await server.start();
  await eventually("it answers", async () => (await node.probe(CALL)).kind === "answered");
  const [answering] = await sessionsOf(server);
  await server.server.kill();
  await server.start();
  await eventually("it answers again", async () => (await node.probe(CALL)).kind === "answered");
  assert.ok(!(await sessionsOf(server)).includes(answering ?? 0));
});
