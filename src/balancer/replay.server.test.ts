/** What the balancer sends again, asked of HAProxy itself. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { connect } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "../../test/support/receivers.ts";
import { giveTo, PORTS, serverUser } from "../../test/support/servers.ts";
import { systemClock } from "../platform/clock.ts";
import { findFreePort } from "../platform/free-port.ts";
import type { RunningProcess } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { findProgram, SYSTEM_FOLDERS } from "../stack/programs.ts";
import { readBalancer } from "./ask.ts";
import {
  API_HEALTH_PATH,
  BALANCER_HEALTH_PATH,
  NOT_REPEATED_HEADER,
  REPEATED_BYTES_MAX,
  renderHaproxy,
} from "./haproxy.ts";

/** Longer than a whole request of these tests takes on a busy machine. */
const WAIT_MS = { head: 2_000, body: 3_000, answer: 3_000 };

let folder: string;
let port: number;
let statsSocket: string;
let haproxy: RunningProcess;
let servers: readonly Server[];
/** Bodies as they came, whichever of the two instances they came to. */
let came: string[] = [];
let paths: string[] = [];
/** What is done with the first request; those behind it are answered. */
let first: "dies" | "refuses" | "freezes" = "dies";
let isWell = true;

function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.url === API_HEALTH_PATH) {
    response.writeHead(isWell ? 200 : 503).end();
    return;
  }
  paths.push(request.url ?? "");
  let body = "";
  request.on("data", (chunk) => (body += String(chunk)));
  request.on("end", () => {
    came.push(body);
    if (came.length > 1) response.end("done");
    else if (first === "dies") request.socket.destroy();
    else if (first === "refuses") response.writeHead(503).end("refused");
  });
}

before(async () => {
  folder = await mkdtemp("/tmp/replay-");
  servers = [createServer(answer), createServer(answer)];
  const api = await Promise.all(
    servers.map(async (server, index) => {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const at = server.address();
      return { name: `api${index}`, host: "127.0.0.1", port: typeof at === "object" && at !== null ? at.port : 0 };
    }),
  );
  port = await findFreePort(systemRandom);
  statsSocket = path.join(folder, "haproxy.sock");
  const text = renderHaproxy({
    frontPort: port,
    readPort: await findFreePort(systemRandom),
    // What others run, and what nothing here resolves: a label is 63 characters long at the most, so that nobody is asked.
    api: [...api, { name: "other-1", host: `${"a".repeat(64)}.invalid`, port: 8000 }],
    pages: [],
    readers: [],
    checkRole: "nobody",
    statsSocket,
    waitMs: WAIT_MS,
  });
  await writeFile(path.join(folder, "haproxy.cfg"), text);
  await giveTo(await serverUser(), folder);
  const command = await findProgram(PORTS.files, SYSTEM_FOLDERS, "haproxy");
  if (command === undefined) throw new Error("haproxy is not installed");
  haproxy = await PORTS.processes.start({
    command,
    args: ["-db", "-f", path.join(folder, "haproxy.cfg")],
    user: await serverUser(),
    output: { kind: "file", file: path.join(folder, "haproxy.log") },
    input: "none",
    detached: false,
  });
  await eventually("the balancer answers", async () => {
    const response = await fetch(`http://127.0.0.1:${port}${BALANCER_HEALTH_PATH}`).catch(() => undefined);
    return response?.status === 200;
  });
});
after(async () => {
  haproxy?.kill("SIGKILL");
  await haproxy?.exited;
  for (const server of servers ?? []) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true, force: true });
});

type Asked = {
  readonly instance?: "dies" | "refuses" | "freezes";
  readonly key?: boolean;
  readonly bytes?: number;
  /** Without a length, in pieces. */
  readonly chunked?: boolean;
};

/** Asks through the balancer, and tells the status that came of it and how often an instance had the request, whole. */
async function ask(
  method: "GET" | "HEAD" | "POST" | "DELETE",
  { instance = "dies", key = false, bytes = 0, chunked = false }: Asked,
): Promise<readonly [status: number, times: number, note?: string]> {
  came = [];
  first = instance;
  const body = "x".repeat(bytes);
  const [status, told] = await new Promise<readonly [number, unknown]>((resolve, reject) => {
    const headers = { ...(chunked ? {} : { "content-length": bytes }), ...(key ? { "idempotency-key": "k-1" } : {}) };
    const asking = httpRequest({ port, host: "127.0.0.1", method, path: "/v1/x", headers, agent: false });
    asking.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve([response.statusCode ?? 0, response.headers[NOT_REPEATED_HEADER]]));
    });
    asking.on("error", reject);
    // The headers go ahead, as those of a large body do.
    asking.flushHeaders();
    asking.on("socket", (socket) => socket.on("connect", () => setImmediate(() => asking.end(body))));
  });
  for (const each of came) assert.equal(each, body);
  return told === undefined ? [status, came.length] : [status, came.length, String(told)];
}

test("an instance of others whose name does not resolve gets nothing, and keeps nobody from those that are there", async () => {
  const other = (await readBalancer(statsSocket, {})).find(({ server }) => server === "other-1");
  assert.match(other?.status ?? "", /^MAINT/);
  assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
});

test("a request whose instance dies is sent to another one when it reads, or says that it may be repeated", async () => {
  assert.deepEqual(await ask("GET", {}), [200, 2]);
  assert.deepEqual(await ask("HEAD", {}), [200, 2]);
  assert.deepEqual(await ask("POST", { key: true, bytes: 100 }), [200, 2]);
  assert.deepEqual(await ask("DELETE", { key: true }), [200, 2]);
  assert.deepEqual(await ask("POST", { key: true, bytes: REPEATED_BYTES_MAX }), [200, 2]);
  assert.deepEqual(await ask("POST", { key: true, bytes: REPEATED_BYTES_MAX, chunked: true }), [200, 2]);
});

test("a write that does not say so is sent once", async () => {
  assert.deepEqual(await ask("POST", { bytes: 100 }), [502, 1]);
  assert.deepEqual(await ask("DELETE", {}), [502, 1]);
});

test("one that is too large to be kept is sent once, and its caller is told so, whatever comes of it", async () => {
  const note = "body larger than 122880 bytes";
  assert.deepEqual(await ask("POST", { key: true, bytes: REPEATED_BYTES_MAX + 1 }), [502, 1, note]);
  assert.deepEqual(await ask("POST", { key: true, bytes: 300_000 }), [502, 1, note]);
  assert.deepEqual(await ask("POST", { key: true, bytes: 300_000, chunked: true }), [502, 1, note]);
  assert.deepEqual(await ask("POST", { key: true, bytes: 300_000, instance: "refuses" }), [503, 1, note]);
  assert.deepEqual(await ask("POST", { bytes: 300_000, instance: "refuses" }), [503, 1]);
});

test("what an instance refuses is not asked of another one", async () => {
  assert.deepEqual(await ask("GET", { instance: "refuses" }), [503, 1]);
  assert.deepEqual(await ask("POST", { instance: "refuses", key: true, bytes: 100 }), [503, 1]);
});

test("an instance that does not answer is waited for so long only", async () => {
  const began = systemClock.monotonic();
  assert.deepEqual(await ask("GET", { instance: "freezes" }), [504, 1]);
  assert.ok(systemClock.monotonic() - began < 10 * WAIT_MS.answer);
});

test("while no instance passes its check they are asked all the same, and afterwards only those that pass", async () => {
  const both = async (wanted: string): Promise<boolean> => {
    const api = (await readBalancer(statsSocket, {})).filter(({ server }) => /^api\d$/.test(server));
    return api.length === 2 && api.every(({ status }) => status === wanted);
  };
  isWell = false;
  await eventually("both are seen as down", async () => await both("DOWN"));
  assert.deepEqual(await ask("GET", {}), [200, 2]);
  isWell = true;
  await eventually("both are seen as up", async () => await both("UP"));
  assert.deepEqual(await ask("GET", {}), [200, 2]);
});

test("what instances tell of themselves is told to this machine, and to nobody whom a proxy passes on", async () => {
  const asked = async (at: string, headers: Readonly<Record<string, string>> = {}): Promise<number> => {
    came = ["", ""];
    return (await fetch(`http://127.0.0.1:${port}${at}`, { headers })).status;
  };
  for (const at of ["/metrics", "/instances/api0/metrics", "/%6Detrics", "/%69nstances/api0/health"]) {
    assert.equal(await asked(at), 200, at);
    assert.equal(await asked(at, { "x-forwarded-for": "192.0.2.1" }), 404, at);
    assert.equal(await asked(at, { forwarded: "for=192.0.2.1" }), 404, at);
  }
  // What does not begin so is none of these pages at an instance either.
  for (const at of ["//instances/api0/metrics", "/a/instances/api0/metrics", "/a/instances/api0/health/ready"]) {
    paths = [];
    await asked(at, { "x-forwarded-for": "192.0.2.1" });
    assert.deepEqual(paths, [at]);
  }
  // How the service is, is everybody's to know.
  assert.equal(await asked("/health", { "x-forwarded-for": "192.0.2.1" }), 200);
  assert.equal(await asked("/v1/x", { "x-forwarded-for": "192.0.2.1" }), 200);
});

test("a request that never comes to its end keeps its place for so long only, however often a byte of it comes", async () => {
  const post = "POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
  const [head, body] = await Promise.all([dripped("GET / HTTP/1.1\r\nhost: x\r\nx: "), dripped(post)]);
  assert.match(head.answer, /^HTTP\/1\.1 408 /);
  assert.match(body.answer, /^HTTP\/1\.1 408 /);
  assert.ok(head.ms < body.ms, `${head.ms} ms for the head, ${body.ms} ms for the body`);
});

/** Sends `begun` and then a byte now and then, until the balancer has closed. */
async function dripped(begun: string): Promise<{ readonly answer: string; readonly ms: number }> {
  const began = systemClock.monotonic();
  return await new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(begun));
    const drip = setInterval(() => socket.write("x"), WAIT_MS.head / 10);
    const late = setTimeout(() => socket.destroy(new Error("not closed")), 10 * WAIT_MS.body);
    socket.on("data", (chunk) => (answer += String(chunk)));
    socket.on("error", reject);
    socket.on("close", () => {
      clearInterval(drip);
      clearTimeout(late);
      resolve({ answer, ms: systemClock.monotonic() - began });
    });
  });
}
