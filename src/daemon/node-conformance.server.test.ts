/** The conformance suite of nodes against real servers: one pair for all of it, the promotion last. */
import { test } from "node:test";
import { conninfoOf, type Pair, REPLICA_NAME, startPair } from "../../test/support/pairs.ts";
import { SUPERUSER, type TestServer } from "../../test/support/servers.ts";
import { type NodesUnderTest, nodeConformance } from "../failover/conformance/node.ts";
import { SqlNode } from "../node/node.ts";
import { systemClock } from "../platform/clock.ts";

const PRIMARY_NAME = "db";

let pair: Promise<Pair> | undefined;

async function openPair(): Promise<Pair> {
  const opened = await startPair();
  await opened.primary.query("CREATE TABLE written (id int)");
  return opened;
}

test.after(async () => {
  await (await pair)?.[Symbol.asyncDispose]();
});

nodeConformance(async (work) => {
  pair ??= openPair();
  await work(underTest(await pair));
});

function underTest({ primary, replica }: Pair): NodesUnderTest {
  const serverOf = (node: string): TestServer => (node === PRIMARY_NAME ? primary : replica);
  return {
    primary: nodeOf(PRIMARY_NAME, primary, replica),
    replica: nodeOf(REPLICA_NAME, replica, primary),
    elsewhere: nodeOf(PRIMARY_NAME, primary, replica),
    clock: systemClock,
    write: async (node, id) => {
      const session = await serverOf(node).server.connect({ namesOf: "database" }, {});
      try {
        await session.query("INSERT INTO written VALUES ($1::int)", [id], { timeoutMs: 60_000 });
        return true;
      } catch {
        // The server ended under it.
        return false;
      } finally {
        await session.close();
      }
    },
    has: async (node, id) =>
      (await serverOf(node).value("SELECT count(*) FROM written WHERE id = $1::int", [id])) !== "0",
    crash: (node) => serverOf(node).server.kill(),
    start: (node) => serverOf(node).start(),
    halt: (node) => serverOf(node).server.halt(),
    goOn: (node) => serverOf(node).server.resume(),
  };
}

function nodeOf(name: string, server: TestServer, upstream: TestServer): SqlNode {
  const { socketFolder, port } = server.server.setup;
  return new SqlNode(systemClock, {
    name,
    address: {
      host: socketFolder,
      port,
      user: SUPERUSER.name,
      password: SUPERUSER.password,
      tls: { mode: "disable" },
      applicationName: "lifeboat_node",
      connectTimeoutMs: 5_000,
    },
    connectionTo: () => ({ conninfo: conninfoOf(upstream, REPLICA_NAME), slot: REPLICA_NAME }),
    freeBytes: async () => 7,
    cloning: () => false,
  });
}
