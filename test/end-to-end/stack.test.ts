/**
 * A whole stack of real programs by the real command line: brought up from nothing, looked at, described otherwise, and
 * restarted in parts.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { readBalancer } from "../../src/balancer/ask.ts";
import { EXIT } from "../../src/errors/entry.ts";
import { withNode } from "../../src/stack/nodes.ts";
import { lifeboatConfigFile } from "../../src/stack/receiver-config.ts";
import { statsSocketOf } from "../../src/stack/render.ts";
import { readSecrets } from "../../src/stack/secrets.ts";
import { processesOf } from "../support/processes-of.ts";
import { RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS, serverUser } from "../support/servers.ts";

/** What we promise of a first start; it takes about ten seconds on two cores. */
const UP_MAX_MS = 60_000;

let folder = "";
let one: RealStack;

before(async () => {
  folder = await mkdtemp("/tmp/stack-");
  await chmod(folder, 0o755);
  one = new RealStack(folder, "one");
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

test("from nothing to all healthy in under a minute, by the plan that the dry run printed, with a recovery key shown once", async (t) => {
  const { plan } = (await one.cli.json("up --ports auto --dry-run")) as {
    plan: { steps: readonly { step: string }[]; portsToChoose: boolean };
  };
  assert.equal(plan.portsToChoose, true);
  assert.equal((await readdir(folder)).includes("state"), false, "a dry run makes nothing");
  const { durationMs, steps, recoveryKey } = await one.up();
  t.diagnostic(`up from nothing: ${durationMs} ms`);
  assert.ok(durationMs < UP_MAX_MS, `${durationMs} ms`);
  // The proof changes nothing.
  assert.deepEqual(
    [...steps.map(({ step }) => step), "proof"],
    plan.steps.map(({ step }) => step),
  );
  assert.match(recoveryKey ?? "", /^[0-9A-Z]{4,}-/);
  assert.equal((await one.ps()).up, true);
  assert.equal(await one.ask("db", "SHOW synchronous_standby_names"), "ANY 1 (db_replica, lifeboat_vault)");
  const states = "SELECT string_agg(sync_state, ',' ORDER BY application_name) FROM pg_stat_replication";
  assert.equal(await one.ask("db", states), "quorum,quorum");
  assert.equal(await one.ask("db_replica", "SELECT pg_is_in_recovery()::text"), "true");
});

test("up of a stack that is up changes nothing and says so, but for a role's password that somebody has set by hand", async () => {
  const { applicationRole } = await one.stack();
  await one.ask("db", `ALTER ROLE "${applicationRole}" PASSWORD 'by hand'`);
  const mended = (await one.up()).steps.map(({ step }) => step);
  assert.deepEqual(mended, ["database"]);
  const { steps, recoveryKey } = await one.up();
  assert.deepEqual([steps, recoveryKey], [[], null]);
  const { out } = await one.cli.expect(0, "up");
  assert.match(out, /^Stack one was up; nothing was changed\./);
  assert.doesNotMatch(out, /Recovery key/);
});

test("what runs the programs is in a session of its own, and outlives the terminal that started it", async () => {
  const pid = await one.supervisorPid();
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /s, "").split(" ");
  const [, , group, session, terminal] = fields;
  assert.deepEqual([group, session, terminal], [`${pid}`, `${pid}`, "0"]);
  process.kill(pid, "SIGHUP");
  assert.equal((await one.ps()).up, true);
  assert.equal(await one.supervisorPid(), pid);
});

test("secrets lie in files that only their owner can read, and in no argument, log or configuration that others can read", async () => {
  const { place } = await one.stack();
  const user = await serverUser();
  const secrets = await readSecrets(PORTS.files, place);
  for (const name of await readdir(place.secrets)) {
    const facts = await stat(path.join(place.secrets, name));
    assert.equal(facts.mode & 0o777, 0o600, name);
    assert.equal(facts.uid, user?.uid ?? process.getuid?.(), name);
  }
  const commands = (await processesOf(folder)).map(({ command }) => command).join("\n");
  for (const log of await readdir(place.logs)) {
    const said = (await PORTS.files.readFile(path.join(place.logs, log))).toString("utf8");
    for (const [name, secret] of Object.entries(secrets)) {
      assert.equal(said.includes(secret), false, `${name} in ${log}`);
      assert.equal(commands.includes(secret), false, name);
    }
  }
});

test("the balancer leads reads to the replica, and says that no instance of the API is there", async () => {
  const stack = await one.stack();
  await eventually("the balancer has checked its servers", async () => {
    const states = await readBalancer(statsSocketOf(stack), {});
    return states.map(({ server, status }) => `${server} ${status}`).join(", ") === "db_replica UP, db UP";
  });
  await withNode({ ...(await one.application()), port: stack.ports.reads }, {}, async ({ run }) => {
    const [row] = await run("SELECT pg_is_in_recovery() AS standby");
    assert.equal(row?.["standby"], true);
  });
  const answer = await fetch(`http://127.0.0.1:${stack.ports.front}/health`);
  assert.equal(answer.status, 503);
});

/** The status of every answer to a request after another, until the signal; a request that gets none is a 0. */
async function askAll(port: number, url: string, signal: AbortSignal): Promise<readonly number[]> {
  const statuses: number[] = [];
  while (!signal.aborted) {
    // A connection of its own for each, as many clients have.
    const answer = await fetch(`http://127.0.0.1:${port}${url}`, { headers: { connection: "close" } }).catch(
      () => undefined,
    );
    statuses.push(answer?.status ?? 0);
  }
  return statuses;
}

test("an instance of the API that is described later is led to without a request being refused meanwhile", async () => {
  const { front } = (await one.stack()).ports;
  const instance = createServer((request, response) => response.end(request.url));
  await new Promise<void>((resolve) => instance.listen(0, "127.0.0.1", resolve));
  const address = instance.address();
  assert(typeof address === "object" && address !== null);
  const described = `--stack-api 127.0.0.1:${address.port}`;
  const asking = new AbortController();
  const answers = askAll(front, "/balancer/health", asking.signal);
  try {
    const { steps } = await one.up(described);
    assert.deepEqual(
      steps.map(({ step }) => step),
      ["config"],
    );
    await eventually("the front leads to the instance", async () => {
      const answer = await fetch(`http://127.0.0.1:${front}/products`);
      return answer.status === 200 && (await answer.text()) === "/products";
    });
    asking.abort();
    const statuses = await answers;
    assert.ok(statuses.length > 20, `${statuses.length}`);
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.deepEqual((await one.up(described)).steps, []);
  } finally {
    asking.abort();
    instance.close();
    instance.closeAllConnections();
    await one.up();
  }
});

test("a backup that we take leaves nothing in the vault that the receiver's user could not remove", async () => {
  const stack = await one.stack();
  await one.cli.expect(0, `backup --config ${lifeboatConfigFile(stack)}`);
  // Beside the file that describes the stack, and nothing of a vault, it is the stack's own that is looked at.
  const { out } = await one.cli.expect(5, "status --json");
  const { vault, receiver, server, faults } = JSON.parse(out);
  assert.deepEqual([vault.kind, receiver.kind, server.kind], ["reached", "running", "reached"]);
  assert.deepEqual(
    faults.map(({ code }: { readonly code: string }) => code),
    ["no-proof"],
  );
  const user = await serverUser();
  for (const name of await readdir(stack.place.vault, { recursive: true })) {
    const facts = await stat(path.join(stack.place.vault, name));
    assert.equal(facts.uid, user?.uid ?? process.getuid?.(), name);
  }
});

test("logs are told by component, and followed until they are interrupted", async () => {
  const { out } = await one.cli.expect(0, "logs --lines 2");
  assert.match(out, /^db +\| .*\n/);
  assert.match(out, /^supervisor +\| .* is ready$/m);
  const following = one.cli.start("logs db --lines 1 -f");
  await following.printed(/\n/);
  await assert.rejects(one.ask("db", "SELECT no_such_column"));
  await following.printed(/column "no_such_column" does not exist/);
  following.child.kill("SIGINT");
  const { status, out: followed } = await following.ended;
  assert.equal(status, 0);
  assert.doesNotMatch(followed, /\| /, "a single log has no names");
});

test("a command runs as a component's user in its folder, finds the component's programs, and its status is passed on", async () => {
  const { out } = await one.cli.expect(0, "exec db -- pg_ctl status -D data/db");
  assert.match(out, /server is running/);
  const answer = await one.cli.expect(0, "exec redis -- id -u");
  assert.equal(answer.out, `${(await serverUser())?.uid ?? process.getuid?.()}\n`);
  await one.cli.expect(1, "exec redis -- false");
});

test("a component that is restarted works when the command ends; db only when the outage is accepted", async () => {
  const before = await one.pidOf("receiver");
  const { out } = await one.cli.expect(0, "restart receiver");
  assert.match(out, /^receiver works again after /);
  assert.notEqual(await one.pidOf("receiver"), before);
  assert.equal((await one.look("receiver")).works, true);
  const primary = await one.pidOf("db");
  const refused = await one.cli.expect(EXIT.refused, "restart db", { withoutTerminal: true });
  assert.match(refused.err, /interrupts every write.*\nremedy: .*--accept-outage/);
  assert.equal(await one.pidOf("db"), primary);
  await one.cli.expect(0, "restart db --accept-outage");
  assert.notEqual(await one.pidOf("db"), primary);
  await eventually("all work", async () => (await one.ps()).up);
});
