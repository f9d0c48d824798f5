/**
 * Two stacks of real programs beside one another by the real command line: one in the way of the other, one cut short, each
 * taken down alone, and brought up again.
 */
import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { EXIT } from "../../src/errors/entry.ts";
import { isPortFree } from "../../src/platform/free-port.ts";
import { PORT_NAMES } from "../../src/stack/stack.ts";
import { withListener } from "../support/listener.ts";
import { processesOf } from "../support/processes-of.ts";
import { makeStackFolder, RealStack } from "../support/real-stack.ts";
import { PORTS } from "../support/servers.ts";

/** Its sockets are not in its folder, whose path is too long for them. */
const TWO = `two_${"x".repeat(50)}`;

let folder = "";
let one: RealStack;
let two: RealStack;

before(async () => {
  folder = await makeStackFolder();
  one = new RealStack(folder, "one");
  two = new RealStack(folder, TWO);
  await one.up();
});

after(async () => {
  await one.end();
  await two.end();
  await rm(folder, { recursive: true, force: true });
});

const portsOf = async (stack: RealStack): Promise<readonly number[]> => Object.values((await stack.stack()).ports);

test("a port that somebody holds is told with its holder, and nothing is begun", async () => {
  await withListener(
    (socket) => socket.end(),
    async (port) => {
      const { err } = await two.cli.expect(EXIT.refused, `up --stack-name other --stack-redis-port ${port}`);
      assert.match(
        err,
        new RegExp(`port ${port}, wanted for redis \\(stack.redisPort\\), is held by process ${process.pid} `),
      );
      assert.match(err, /remedy: .*lifeboat up --ports auto/);
    },
  );
  const { place } = await two.stack();
  assert.deepEqual(await readdir(path.join(path.dirname(place.folder), "other")), ["lock"]);
});

test("an up that is interrupted ends what it did; while it is at work no other command changes the stack; the next goes on", async () => {
  const first = two.cli.start("up --ports auto");
  await first.said(/the primary accepts connections/);
  const { err } = await two.cli.expect(EXIT.refused, "down");
  assert.match(err, /another command changes stack two_/);
  first.child.kill("SIGINT");
  assert.equal((await first.ended).status, EXIT.interrupted);
  assert.equal((await two.ps()).up, false);
  const { steps } = await two.up();
  assert.ok(steps.length > 0 && steps.every(({ step }) => step !== "db-start"), JSON.stringify(steps));
  assert.equal((await two.ps()).up, true);
  assert.equal(
    new Set([...(await portsOf(one)), ...(await portsOf(two))]).size,
    2 * PORT_NAMES.length,
    "each stack has its own ports",
  );
});

test("each stack goes down alone and leaves no process, port, socket or temporary file", async (t) => {
  const stack = await one.stack();
  const { durationMs } = (await one.cli.json("down")) as { durationMs: number };
  t.diagnostic(`down: ${durationMs} ms`);
  assert.deepEqual(await processesOf(stack.place.folder), []);
  for (const port of Object.values(stack.ports)) assert.equal(await isPortFree(port), true, `port ${port}`);
  assert.deepEqual(await readdir(stack.place.sockets), []);
  assert.deepEqual((await readdir(stack.place.supervisor)).toSorted(), ["lock", "logs", "supervisor.log"]);
  const { out } = await one.cli.expect(EXIT.world, "ps");
  assert.match(out, /^Stack one is down\./);
  const again = await one.cli.expect(0, "down");
  assert.match(again.out, /^Stack one was down; nothing was done\./);
  assert.deepEqual(await processesOf(stack.place.folder), [], "looking started nothing");
  assert.equal((await two.ps()).up, true);
  const { place } = await two.stack();
  await two.cli.expect(0, "down");
  assert.deepEqual(await processesOf(path.join(folder, "state")), []);
  assert.equal(await PORTS.files.stat(place.sockets), undefined);
});

test("a stack that was down comes up again with its data, and a stack that never was is told so", async () => {
  assert.equal((await two.up()).recoveryKey, null);
  assert.equal(await two.ask("db_replica", "SELECT count(*)::text FROM pg_stat_wal_receiver"), "1");
  await two.cli.expect(0, "down");
  const { out } = await one.cli.expect(0, "down --stack-name nobody");
  assert.match(out, /^Stack nobody was down/);
  const { err } = await one.cli.expect(EXIT.notFound, "restart redis --stack-name nobody");
  assert.match(err, /stack nobody was never started: .*\nremedy: Start it: lifeboat up/);
  assert.deepEqual((await readdir(path.join(folder, "state", "stacks"))).toSorted(), ["one", "other", TWO]);
});
