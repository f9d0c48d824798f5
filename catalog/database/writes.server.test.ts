import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { eventually } from "../../test/support/receivers.ts";
import { SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { Session } from "./session.ts";
import { Way } from "./way.ts";
import { WriteNotDone, Writes } from "./writes.ts";

let server: TestServer;
let way: Way;
let writes: Writes;

before(async () => {
  server = await startServer({ major: 16, name: "writes" });
  await server.query("create table written (name text)");
  way = new Way("main", systemClock, {
    host: "127.0.0.1",
    port: server.server.setup.port,
    user: SUPERUSER.name,
    password: SUPERUSER.password,
    database: "postgres",
    width: 2,
  });
  way.start();
  await eventually("a primary is seen", () => Promise.resolve(way.view === "primary"));
  writes = new Writes({
    clock: systemClock,
    random: systemRandom,
    way,
    budget: new RetryBudget(systemClock),
  });
});
after(async () => {
  await way?.stop();
  await server?.[Symbol.asyncDispose]();
});

/** Writes while the server ends at a moment of the transaction. */
async function lost(name: string, when: "before the insert" | "before the commit"): Promise<string> {
  const work = async (session: Session): Promise<void> => {
    if (when === "before the insert") await server.stop("immediate");
    await session.query("insert into written values ($1)", [name]);
    if (when === "before the commit") await server.stop("immediate");
  };
  const outcome = await writes.run(work, { repeatable: true, deadlineMs: 400 }).then(
    () => "done",
    (error: unknown) => (error instanceof WriteNotDone ? error.reason : String(error)),
  );
  await server.start();
  await eventually("a primary is seen", () => Promise.resolve(way.view === "primary"));
  return outcome;
}

test("who was late is told that nothing was done only when no commit was sent, by any of its tries", async () => {
  assert.equal(await lost("a", "before the insert"), "late");
  assert.equal(await lost("b", "before the commit"), "unknown");
  let tries = 0;
  const repeated = async (session: Session): Promise<void> => {
    tries += 1;
    if (tries === 1) {
      await session.query("insert into written values ('c')");
      await server.stop("immediate");
      void server.start();
    }
  };
  await writes.run(repeated, { repeatable: true });
  assert.equal(tries, 2);
});
