/**
 * A pooler that is led from one server to the other and back, again and again, under clients that do not stop: for the test of
 * the guard and for the benchmark.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { systemClock } from "../../src/platform/clock.ts";
import { consoleOf } from "../../src/pooler/console.ts";
import type { ServerAddress } from "../../src/pooler/pooler.ts";
import { readPools } from "../../src/pooler/show.ts";
import type { LoadedStatement, PoolerLoadOptions } from "./pooler-load.ts";
import type { TestPooler } from "./poolers.ts";
import type { TestServer } from "./servers.ts";

/** One loop, in milliseconds; `at` since 1970. */
export type RepointLoop = {
  readonly at: number;
  readonly pauseMs: number;
  readonly repointMs: number;
  readonly resumeMs: number;
  /** False: the guard gave up, and nothing was done. */
  readonly done: boolean;
};

/** What came of the loops: each with the longest that a client waited which came in its time. */
export type RepointRun = {
  readonly loops: readonly (RepointLoop & { readonly stallMs: number })[];
  readonly statements: readonly LoadedStatement[];
  readonly failed: readonly LoadedStatement[];
};

/** How they are run. */
export type RepointRequest = {
  readonly pooler: TestPooler;
  /** The first is where the pooler leads. */
  readonly servers: readonly [ServerAddress, ServerAddress];
  readonly loops: number;
  /** How long clients are kept waiting, as a promotion would. */
  readonly holdMs: number;
  /** Between a resume and the next pause. */
  readonly gapMs: number;
  /** Lifeboat's pause; one that looks until no login is in flight and then sends PAUSE; PAUSE whatever is in flight. */
  readonly pause: "guarded" | "looked" | "bare";
  readonly sessions: number;
  readonly perSecond: number;
};

const PAUSE = { drain: true, drainMs: 5_000, holdMsMax: 30_000 } as const;
const COMMAND_TIMEOUT_MS = 10_000;
const LOOK_MS = 2;

/** Makes the table that the clients write to. */
export async function prepareRepoint(server: TestServer): Promise<void> {
  await server.query("CREATE TABLE operations (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())");
}

/** Where a server listens. */
export function addressOf(server: TestServer): ServerAddress {
  return { host: "127.0.0.1", port: server.server.setup.port };
}

/** Runs the loops under load. */
export async function runRepointLoops(
  request: RepointRequest,
  options: { readonly signal?: AbortSignal } = {},
): Promise<RepointRun> {
  const { pooler, sessions, perSecond } = request;
  const load = startLoad({ ...pooler.clientAddress, sessions, perSecond });
  try {
    await load.loading;
    const loops = await loopsOf(request, options);
    const statements = await load.end();
    return {
      loops: loops.map((loop, index) => ({ ...loop, stallMs: stallOf(statements, loop.at, loops[index + 1]?.at) })),
      statements,
      failed: statements.filter(({ error }) => error !== undefined),
    };
  } finally {
    load.kill();
  }
}

async function loopsOf(
  request: RepointRequest,
  options: { readonly signal?: AbortSignal },
): Promise<readonly RepointLoop[]> {
  const driver = await request.pooler.driver();
  const raw = consoleOf(request.pooler.consoleAddress);
  const loops: RepointLoop[] = [];
  for (let number = 1; number <= request.loops; number += 1) {
    const server = request.servers[number % 2 === 0 ? 0 : 1] ?? request.servers[0];
    await systemClock.sleep(request.gapMs, options);
    const at = systemClock.now();
    const begun = systemClock.monotonic();
    const took = (from: number): number => systemClock.monotonic() - from;
    let done = true;
    if (request.pause === "guarded") done = (await driver.pause({ epoch: number, ...PAUSE }, options)).kind === "done";
    else {
      const command = { ...options, timeoutMs: COMMAND_TIMEOUT_MS };
      while (request.pause === "looked" && readPools(await raw.run("SHOW POOLS", command)).serversLoggingIn > 0) {
        await systemClock.sleep(LOOK_MS, options);
      }
      await raw.run("PAUSE", command);
    }
    const pauseMs = took(begun);
    if (!done) {
      loops.push({ at, pauseMs, repointMs: 0, resumeMs: 0, done });
      continue;
    }
    if (request.holdMs > 0) await systemClock.sleep(request.holdMs, options);
    const repointing = systemClock.monotonic();
    await driver.repoint({ epoch: number, server }, options);
    const repointMs = took(repointing);
    const resuming = systemClock.monotonic();
    await driver.resume({ epoch: number }, options);
    loops.push({ at, pauseMs, repointMs, resumeMs: took(resuming), done });
  }
  // What the last one led to shows in what comes after it.
  await systemClock.sleep(request.gapMs, options);
  await raw.close();
  return loops;
}

function stallOf(statements: readonly LoadedStatement[], from: number, to: number = Number.POSITIVE_INFINITY): number {
  const waits = statements.filter(({ at, tookMs }) => at + tookMs >= from && at < to).map(({ tookMs }) => tookMs);
  return Math.max(0, ...waits);
}

function startLoad(options: PoolerLoadOptions) {
  const child: ChildProcess = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      path.join(import.meta.dirname, "pooler-load.ts"),
      JSON.stringify(options),
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  let out = "";
  const closed = once(child, "close");
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  const loading = (async (): Promise<void> => {
    while (!out.startsWith("loading\n")) {
      if (child.exitCode !== null) throw new Error("the clients ended before they began");
      await Promise.race([once(child.stdout ?? child, "data"), closed]);
    }
  })();
  return {
    loading,
    end: async (): Promise<readonly LoadedStatement[]> => {
      child.stdin?.end();
      await closed;
      return JSON.parse(out.slice(out.indexOf("\n") + 1));
    },
    kill: (): void => void child.kill("SIGKILL"),
  };
}
