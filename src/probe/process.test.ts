import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { findFreePort } from "../platform/free-port.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { LedgerWriter, readLedger } from "./ledger.ts";
import { Probe } from "./probe.ts";
import { ProbeProcess, type ProbeProcessRequest } from "./process.ts";
import { parseRequest } from "./protocol.ts";

/** A client for a port where nobody listens. */
async function requestFor(t: TestContext): Promise<ProbeProcessRequest> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-client-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return {
    node: process.execPath,
    entry: path.join(import.meta.dirname, "main.ts"),
    ledgerFile: path.join(folder, "ledger"),
    probe: {
      connect: {
        host: "127.0.0.1",
        port: await findFreePort(systemRandom),
        user: "nobody",
        applicationName: "lifeboat_probe",
        connectTimeoutMs: 1_000,
      },
      clientId: "00112233445566778899aabbccddeeff",
      writesPerSecond: 100,
      readsPerSecond: 0,
      laneCount: 3,
      queueDeadlineMs: 100,
      answerDeadlineMs: 100,
    },
  };
}

async function start(t: TestContext, request: ProbeProcessRequest): Promise<ProbeProcess> {
  const client = await ProbeProcess.start(systemProcesses, request);
  t.after(() => client.kill());
  return client;
}

test("without any server the client lives, counts each write as failed and says why", async (t) => {
  const request = await requestFor(t);
  const client = await start(t, request);
  for (;;) if ((await client.status({})).writes.failedCount >= 20) break;
  const report = await client.stop({});
  assert.equal(report.writes.failedReasons["deadline-in-pool-queue"], report.writes.arrivedCount);
  assert.equal(report.writes.outstandingCount, 0);
  assert.equal(report.writes.okCount + report.writes.unknownCount, 0);
  assert.ok((report.connectReasons["ECONNREFUSED"] ?? 0) >= 3);
  assert.equal(report.writes.window.firstFailedReason, "deadline-in-pool-queue");
  assert.equal((await readLedger(systemFiles, request.ledgerFile)).records.length, 0);
  assert.equal(await systemProcesses.isAlive(client.pid), false);
});

test("a client that is killed is reported as failed, to those who wait and to those who ask later", async (t) => {
  const client = await start(t, await requestFor(t));
  const waiting = client.stop({});
  systemProcesses.signal(client.pid, "SIGKILL");
  await assert.rejects(waiting, { code: "probe.process-failed" });
  await assert.rejects(client.status({}), { code: "probe.process-failed" });
});

test("a ledger that is there already is refused, and no process stays", async (t) => {
  const request = await requestFor(t);
  const first = await start(t, request);
  await assert.rejects(ProbeProcess.start(systemProcesses, request), {
    code: "probe.process-failed",
    message: /platform\.file-exists/,
  });
  await first.stop({});
});

test("an entry that cannot be run is reported with what Node says", async (t) => {
  const request = { ...(await requestFor(t)), entry: "/nonexistent/main.js" };
  await assert.rejects(ProbeProcess.start(systemProcesses, request), {
    code: "probe.process-failed",
    message: /MODULE_NOT_FOUND|Cannot find module/,
  });
});

test("waiting for an answer ends on request", async (t) => {
  const client = await start(t, await requestFor(t));
  const stop = new AbortController();
  const waiting = client.stop({ signal: stop.signal });
  stop.abort();
  await assert.rejects(waiting, { code: "platform.aborted" });
  await assert.rejects(client.status({ signal: stop.signal }), { code: "platform.aborted" });
});

test("the client ends when who started it does, by its closed standard input, and an interrupt does not end it", async (t) => {
  const request = await requestFor(t);
  const child = await systemProcesses.start({
    command: request.node,
    args: [request.entry],
    output: { kind: "pipe" },
    input: "pipe",
    detached: false,
  });
  t.after(() => child.kill("SIGKILL"));
  const { ledgerFile, probe } = request;
  child.stdin?.write(`${JSON.stringify({ kind: "start", id: 1, ledgerFile, probe })}\n`);
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  child.kill("SIGINT");
  child.stdin?.end();
  assert.deepEqual(await child.exited, { kind: "exited", status: 0 });
});

test("the arrivals keep their rate while nothing is answered, and none is left out", async (t) => {
  const request = await requestFor(t);
  const ledger = await LedgerWriter.create(systemFiles, {
    file: request.ledgerFile,
    clientId: request.probe.clientId,
  });
  const client = new Probe(systemClock, ledger, request.probe);
  await systemClock.sleep(1_000, {});
  const report = await client.stop();
  const elapsedMs = report.atMs - report.startedMs;
  assert.ok(report.writes.arrivedCount >= 90, `${report.writes.arrivedCount} arrivals`);
  assert.ok(
    report.writes.arrivedCount <= elapsedMs / 10 + 2,
    `${report.writes.arrivedCount} arrivals in ${elapsedMs} ms`,
  );
  assert.equal((await client.stop()).writes.arrivedCount, report.writes.arrivedCount);
});

test("a request that is not of the protocol is refused", () => {
  assert.throws(() => parseRequest('{"kind":"drop","id":1}'));
  assert.throws(() => parseRequest('{"kind":"reconnect","id":1,"host":"","port":70000}'));
  assert.deepEqual(parseRequest('{"kind":"mark","id":7,"label":"a"}'), { kind: "mark", id: 7, label: "a" });
});
