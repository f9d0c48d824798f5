import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { test } from "node:test";
import { eventually, temporaryFolder } from "../../test/support/receivers.ts";
import { type Clock, type Instant, systemClock } from "../platform/clock.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { hookService } from "./hooks.ts";

const AT = Date.UTC(2026, 10, 26, 12) as Instant;
const EVENT = { kind: "failover-ended", at: AT, facts: { to: "db_replica", end: parseLsn("0/3000060") } };
const BODY = `{"stack":"shop","kind":"failover-ended","at":"2026-11-26T12:00:00.000Z","facts":{"to":"db_replica","end":"0/3000060"}}`;

// Retries wait no time at all.
const hasty: Clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic(),
  sleep: () => Promise.resolve(),
};

function tools(notices: string[]) {
  const notice = (message: string): void => {
    notices.push(message);
  };
  return { clock: hasty, random: systemRandom, processes: systemProcesses, fetch, notice };
}

test("the webhook is told in order, again where it refused, and the log where it would not hear", async () => {
  const heard: string[] = [];
  let refuse = 2;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data: Buffer) => {
      body += data.toString("utf8");
    });
    request.on("end", () => {
      if (refuse > 0) {
        refuse -= 1;
        response.writeHead(503).end();
        return;
      }
      heard.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const notices: string[] = [];
  const webhook = `http://127.0.0.1:${address.port}/hook`;
  const hooks = hookService(tools(notices), { webhook, command: undefined, stack: "shop", stopMaxMs: 60_000 });
  hooks.tell(EVENT);
  hooks.tell({ ...EVENT, kind: "second" });
  await eventually("both were heard", async () => heard.length === 2);
  assert.deepEqual(heard[0], BODY);
  assert.ok(heard[1]?.includes('"second"'));
  refuse = 1_000;
  hooks.tell(EVENT);
  await eventually("it was given up", async () => notices.length === 1);
  assert.match(notices[0] ?? "", /the webhook was not told of failover-ended: it answered 503/);
  await hooks.stop();
  server.close();
});

test("the command is given the event on its input, and its failure is in the log", async () => {
  await using temporary = await temporaryFolder("hooks");
  const file = path.join(temporary.folder, "heard");
  const notices: string[] = [];
  const command = `echo "$LIFEBOAT_EVENT" > '${file}' && cat >> '${file}'`;
  const hooks = hookService(tools(notices), { webhook: undefined, command, stack: "shop", stopMaxMs: 60_000 });
  await hooks.start({});
  hooks.tell(EVENT);
  await hooks.stop();
  assert.equal(await readFile(file, "utf8"), `failover-ended\n${BODY}\n`);
  const failing = hookService(tools(notices), {
    webhook: undefined,
    command: "echo no >&2; exit 9",
    stack: "shop",
    stopMaxMs: 60_000,
  });
  failing.tell(EVENT);
  await failing.stop();
  assert.deepEqual(notices, ["the hook command was not told of failover-ended: it ended with status 9: no"]);
});

/** Holds every call until it is let go on. */
async function holdingServer() {
  const heard: string[] = [];
  const gate = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data: Buffer) => {
      body += data.toString("utf8");
    });
    request.on("end", () => {
      heard.push(body);
      void gate.promise.then(() => response.end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { webhook: `http://127.0.0.1:${address.port}/hook`, heard, goOn: gate.resolve, [Symbol.asyncDispose]: close };
}

test("what is forgotten since too much waits is counted by its kinds in the log, and in the next event that is told", async () => {
  await using server = await holdingServer();
  const notices: string[] = [];
  const choice = { webhook: server.webhook, command: undefined, stack: "shop", stopMaxMs: 60_000 };
  const hooks = hookService(tools(notices), choice);
  hooks.tell({ ...EVENT, kind: "first" });
  hooks.tell({ ...EVENT, kind: "decision-hold" });
  for (let count = 0; count < 2; count += 1) hooks.tell({ ...EVENT, kind: "decision-blocked" });
  for (let count = 0; count < 100; count += 1) hooks.tell(EVENT);
  server.goOn();
  await eventually("all that is left was told", async () => server.heard.length === 101);
  await hooks.stop();
  const line = "the webhook was not told of earlier events (1 decision-hold, 2 decision-blocked): more than 100 waited";
  assert.deepEqual(notices, [line]);
  const counts = server.heard.map((body) => JSON.parse(body).notTold);
  assert.deepEqual(counts.slice(0, 3), [undefined, 3, undefined]);
});

test("a stop ends what takes too long, and says what was not told", async () => {
  await using server = await holdingServer();
  await using temporary = await temporaryFolder("hooks");
  const notices: string[] = [];
  const begun = path.join(temporary.folder, "begun");
  const command = `touch '${begun}' && sleep 60`;
  const hooks = hookService(tools(notices), { webhook: server.webhook, command, stack: "shop", stopMaxMs: 1 });
  hooks.tell(EVENT);
  hooks.tell({ ...EVENT, kind: "second" });
  await eventually("both hooks have begun", async () => {
    return server.heard.length === 1 && (await readFile(begun).catch(() => undefined)) !== undefined;
  });
  await hooks.stop();
  assert.deepEqual(notices.toSorted(), [
    "the hook command was not told of earlier events (1 second): they still waited at the end",
    "the hook command was not told of failover-ended: stopped on request while running /bin/sh",
    "the webhook was not told of earlier events (1 second): they still waited at the end",
    "the webhook was not told of failover-ended: this process ends",
  ]);
});

test("without hooks telling does nothing", async () => {
  const hooks = hookService(tools([]), { webhook: undefined, command: undefined, stack: "shop", stopMaxMs: 60_000 });
  hooks.tell(EVENT);
  await hooks.stop();
});

test("a redirection that keeps the event is followed, any other leaves open whether it was taken, and is neither sent again nor counted", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    const heard: string[] = [];
    const asked: string[] = [];
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (data: Buffer) => {
        body += data.toString("utf8");
      });
      request.on("end", () => {
        if (request.url === "/old/TOKEN") {
          asked.push(body);
          response.writeHead(status, { location: "/new/TOKEN" }).end();
        } else {
          heard.push(`${request.method} ${body}`);
          response.end("a login page");
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const notices: string[] = [];
    const origin = `http://127.0.0.1:${address.port}`;
    const choice = { webhook: `${origin}/old/TOKEN`, command: undefined, stack: "shop", stopMaxMs: 60_000 };
    const hooks = hookService(tools(notices), choice);
    // While it is not ending, what fails is tried again.
    for (const answered of [1, 2]) {
      hooks.tell(EVENT);
      await eventually("it was answered", async () => heard.length === answered || notices.length === answered);
    }
    await hooks.stop();
    server.close();
    const told = `whether the webhook was told of failover-ended is not known: it answered ${status}, a redirection to ${origin}, and may have taken the event before: if not, set failover.webhook to the address that takes events`;
    const twice = status >= 307 ? [[`POST ${BODY}`, `POST ${BODY}`], []] : [[], [told, told]];
    assert.deepEqual([asked, heard, notices], [[BODY, BODY], ...twice]);
  }
});
