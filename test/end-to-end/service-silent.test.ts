/**
 * The service over a primary that is silent and not gone: halted, or at the end of links that swallow what they are given. No
 * request of the API fails. Minutes of two cores: in the long run only.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { after, before, test } from "node:test";
import { LinkedStack } from "../support/linked-stack.ts";
import { forAWhile } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS } from "../support/servers.ts";
import { ServiceLoad } from "../support/service-load.ts";
import { WatchedStack } from "../support/watched-stack.ts";

let folder = "";
let linked: LinkedStack;
let watched: WatchedStack;
let load: ServiceLoad;

before(async () => {
  folder = await mkdtemp("/tmp/stack-");
  await chmod(folder, 0o755);
  linked = await LinkedStack.up(folder, () => 0.5, { service: "on" });
  watched = new WatchedStack(linked.one, folder);
  load = await ServiceLoad.begin(linked.one);
});

after(async () => {
  await linked.end();
  await rm(folder, { recursive: true, force: true });
});

test("halted", async () => {
  assert.equal((await watched.whole()).primary, "db");
  await load.during("halted", async () => {
    for (const pid of await PORTS.processes.tree(await linked.one.pidOf("db"))) PORTS.processes.signal(pid, "SIGSTOP");
    await eventually("over", async () => (await linked.ask("db_replica", "SELECT pg_is_in_recovery()")) === "false");
    await forAWhile(2_000);
  });
});
test("cut", async () => {
  await watched.whole();
  await load.during("cut", async () => {
    linked.links("db_replica").set({ cut: true });
    await eventually("over", async () => (await linked.ask("db", "SELECT pg_is_in_recovery()")) === "false");
    await forAWhile(2_000);
  });
  linked.links("db_replica").heal();
  await watched.whole();
});
test("replica halted", async () => {
  const { primary } = await watched.whole();
  const replica = primary === "db" ? "db_replica" : "db";
  await load.during("rhalted", async () => {
    const pids = await PORTS.processes.tree(await linked.one.pidOf(replica));
    for (const pid of pids) PORTS.processes.signal(pid, "SIGSTOP");
    await forAWhile(4_000);
    for (const pid of pids) PORTS.processes.signal(pid, "SIGCONT");
  });
});
