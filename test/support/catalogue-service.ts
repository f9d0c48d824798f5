/** An instance of the catalogue's API on a test server, behind a pooler and with a redis, all of them real. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Instance } from "../../catalog/api/instance.ts";
import { readServiceFile } from "../../catalog/settings/service-file.ts";
import { renderRedis } from "../../src/cache/redis.ts";
import { type Instant, systemClock } from "../../src/platform/clock.ts";
import { findFreePort } from "../../src/platform/free-port.ts";
import type { RunningProcess } from "../../src/platform/processes.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { findProgram, SYSTEM_FOLDERS } from "../../src/stack/programs.ts";
import { createCatalogue } from "./catalogue.ts";
import { startPooler, type TestPooler } from "./pgbouncer.ts";
import { giveTo, PORTS, SUPERUSER, serverUser, startServer, type TestServer } from "./servers.ts";

/** The key that may do everything. */
export const OPERATOR_KEY = "bw_partner_operator-of-the-tests";

/** The key by which the MCP service reads. */
export const MCP_KEY = "bw_live_mcp-of-the-tests";

const REDIS_PASSWORD = "sesame";

/** A redis that can be killed and started again. */
export class TestRedis {
  readonly port: number;
  readonly #folder: string;
  #process: RunningProcess | undefined;

  constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  async start(): Promise<void> {
    const command = await findProgram(PORTS.files, SYSTEM_FOLDERS, "redis-server");
    if (command === undefined) throw new Error("redis-server is not installed");
    this.#process = await PORTS.processes.start({
      command,
      args: [path.join(this.#folder, "redis.conf")],
      user: await serverUser(),
      output: { kind: "file", file: path.join(this.#folder, "redis.log") },
      input: "none",
      detached: false,
    });
  }

  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
  }
}

/** All of it. */
export class TestService implements AsyncDisposable {
  readonly server: TestServer;
  readonly pooler: TestPooler;
  readonly redis: TestRedis;
  readonly url: string;
  /** What the instance calls its own mistakes. */
  readonly mistakes: unknown[];
  /** How far the instance's wall clock is ahead, milliseconds. */
  readonly ahead: { byMs: number };
  #isStopped = false;
  readonly #instance: Instance;
  readonly #folder: string;

  constructor(
    parts: Pick<TestService, "server" | "pooler" | "redis" | "url" | "mistakes" | "ahead"> & {
      instance: Instance;
      folder: string;
    },
  ) {
    this.server = parts.server;
    this.pooler = parts.pooler;
    this.redis = parts.redis;
    this.url = parts.url;
    this.mistakes = parts.mistakes;
    this.ahead = parts.ahead;
    this.#instance = parts.instance;
    this.#folder = parts.folder;
  }

  /** One request; the body is JSON, there and back. */
  async call(
    method: string,
    at: string,
    { key, body, headers = {} }: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
  ) {
    const response = await fetch(`${this.url}${at}`, {
      method,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "") && text !== "";
    const answer = isJson ? JSON.parse(text) : text;
    return { status: response.status, headers: response.headers, body: answer };
  }

  /** Stops the instance as its program does; what it uses runs on. */
  async stopInstance(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#instance.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopInstance();
    await this.redis.kill();
    await this.pooler[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Starts all: writes go through the pooler, reads may go to the server itself. */
export async function startService(): Promise<TestService> {
  const folder = await mkdtemp("/tmp/catalogue-");
  const server = await startServer({ major: 16, name: "catalogue" });
  await createCatalogue(server, "postgres");
  // As a stack has it: a pooler that waits fifteen seconds after one failed login is an outage of its own.
  const pooler = await startPooler(server, ["server_login_retry = 0.1"]);
  const redis = new TestRedis(folder, await findFreePort(systemRandom));
  const conf = renderRedis({
    port: redis.port,
    dataFolder: folder,
    password: REDIS_PASSWORD,
    memoryMaxBytes: 32 * 1024 * 1024,
    policy: "allkeys-lru",
  });
  const files = {
    "redis.conf": conf,
    password: SUPERUSER.password,
    redis: REDIS_PASSWORD,
    operator: OPERATOR_KEY,
    mcp: MCP_KEY,
  };
  const at = (name: string): string => path.join(folder, name);
  for (const [name, text] of Object.entries(files)) await writeFile(at(name), text);
  const host = "127.0.0.1";
  const service = {
    format: "lifeboat-catalog-service",
    version: 1,
    database: { host, port: pooler.port, name: "postgres", user: SUPERUSER.name, passwordFile: at("password") },
    reads: { host, port: server.server.setup.port },
    redis: { host, port: redis.port, passwordFile: at("redis") },
    operatorKeyFile: at("operator"),
    mcp: { api: "http://127.0.0.1:1", publicUrl: "http://mcp.test/mcp", keyFile: at("mcp") },
    privateWebhooks: true,
  };
  await writeFile(at("service.json"), JSON.stringify(service));
  await giveTo(await serverUser(), folder);
  await redis.start();
  const mistakes: unknown[] = [];
  const ahead = { byMs: 0 };
  const port = await findFreePort(systemRandom);
  const instance = await Instance.start(
    {
      ...PORTS,
      clock: { ...systemClock, now: () => (systemClock.now() + ahead.byMs) as Instant },
      random: systemRandom,
    },
    {
      settings: await readServiceFile(PORTS.files, at("service.json")),
      name: "api",
      // The tests stand where the balancer does.
      listen: { port },
      isBehindBalancer: true,
      tell: () => undefined,
      onMistake: (error) => mistakes.push(error),
    },
  );
  return new TestService({ server, pooler, redis, url: `http://${host}:${port}`, mistakes, ahead, instance, folder });
}
