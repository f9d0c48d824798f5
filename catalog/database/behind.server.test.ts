import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { type Pair, startPair } from "../../test/support/pairs.ts";
import { eventually } from "../../test/support/receivers.ts";
import { SUPERUSER, type TestServer } from "../../test/support/servers.ts";
import { PrimaryPositions } from "./behind.ts";
import { Way } from "./way.ts";

let pair: Pair;
const ways: Way[] = [];
before(async () => {
  pair = await startPair();
});
after(async () => {
  for (const way of ways) await way.stop();
  await pair?.[Symbol.asyncDispose]();
});

test("a replica that is cut off is behind from what its primary writes next on, and no more when it has caught up", async () => {
  const positions = new PrimaryPositions();
  const wayTo = ({ server }: TestServer): Way => {
    const { name: user, password } = SUPERUSER;
    const at = {
      host: "127.0.0.1",
      port: server.setup.port,
      user,
      password,
      database: "postgres",
      width: 1,
      positions,
    };
    const way = new Way("way", systemClock, at);
    ways.push(way);
    way.start();
    return way;
  };
  const [main, other] = [wayTo(pair.primary), wayTo(pair.replica)];
  await eventually("both are seen", async () => main.view === "primary" && other.view === "replica");
  await eventually("it has all", async () => other.behindMs === 0);
  const upstream = await pair.replica.value("show primary_conninfo");
  const follow = async (conninfo: string): Promise<void> => {
    await pair.replica.query(`alter system set primary_conninfo = '${conninfo.replaceAll("'", "''")}'`);
    await pair.replica.query("select pg_reload_conf()");
  };
  await follow("");
  await eventually(
    "it is cut off",
    async () => (await pair.primary.value("select count(*)::text from pg_stat_replication")) === "0",
  );
  await pair.primary.query("create table written ()");
  await eventually("it is behind", async () => other.behindMs > 1_000);
  assert.equal(main.behindMs, 0);
  await follow(upstream);
  await eventually("it has all again", async () => other.behindMs === 0);
});
