import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { withListener } from "../../test/support/listener.ts";
import { testStack } from "../../test/support/stacks.ts";
import { storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import type { ComponentMode } from "../platform/components.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { formatDatabases } from "../pooler/databases-file.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { NO_STRETCH } from "../vault/keys.ts";
import { initVault } from "../vault/vault.ts";
import { writeSpoolState } from "../wal/spool-state.ts";
import { makeFolders, writeConfiguration } from "./making.ts";
import { UP_STEPS, type UpStep } from "./plan.ts";
import { databasesFileOf } from "./pooler-config.ts";
import { freePorts } from "./ports.ts";
import { findPrograms } from "./programs.ts";
import { askPooler } from "./prove.ts";
import { rejoinNode } from "./rejoin.ts";
import { runStep } from "./run-step.ts";
import { HIDDEN_SECRETS, makeSecrets, readSecrets, secretFile } from "./secrets.ts";
import { STEPS } from "./steps.ts";
import type { StackTools } from "./tools.ts";
import { carryOut, checkedPlan, leftBehind, planStackUp } from "./up.ts";

/** A machine on which nothing runs. */
const TOOLS: StackTools = {
  files: systemFiles,
  processes: systemProcesses,
  clock: systemClock,
  locks: systemLocks,
  random: systemRandom,
  user: undefined,
  platform: {
    start: async () => undefined,
    stop: async () => ({ killed: false }),
    restart: async () => undefined,
    state: async () => [],
    lastLines: async () => [],
  },
  programs: {
    postgres: { major: 16, version: "16.0", binFolder: "/nowhere", source: "named" },
    redis: "/nowhere/redis-server",
    pgbouncer: "/nowhere/pgbouncer",
    haproxy: "/nowhere/haproxy",
    lifeboat: { command: "/nowhere/node", args: [] },
    service: { command: "", args: [], api: "", mcp: "", scraper: "", schema: "" },
    lifeboatAsUser: true,
  },
};

async function makeCluster(folder: string, as: "primary" | "standby"): Promise<void> {
  await mkdir(path.join(folder, "global"), { recursive: true });
  await writeFile(path.join(folder, "global/pg_control"), "");
  if (as === "standby") await writeFile(path.join(folder, "standby.signal"), "");
}

test("a primary that became a standby, and a replica that was promoted, are told with their folder, and nothing is started", async () => {
  for (const [node, as] of [
    ["db", "standby"],
    ["db_replica", "primary"],
  ] as const) {
    await withFolder(async (folder) => {
      const stack = testStack({ stacksFolder: folder });
      await makeCluster(stack.place.dataOf(node), as);
      await assert.rejects(planStackUp(TOOLS, stack, {}), (error) => {
        assert(isLifeboatError(error, "stack.roles-changed"));
        assert.match(error.message, new RegExp(`data/${node} holds`));
        return true;
      });
    });
  }
});

/** A start of which steps fail: what it rejects with, and the steps that were tried. */
async function carriedOut(
  steps: readonly UpStep[],
  failing: Readonly<Partial<Record<UpStep, Error>>>,
  { isDecided = false } = {},
): Promise<{ readonly error: unknown; readonly tried: readonly UpStep[] }> {
  const tried: UpStep[] = [];
  const run = async (step: UpStep): Promise<void> => {
    tried.push(step);
    const error = failing[step];
    if (error !== undefined) throw error;
  };
  const error = await carryOut(steps, run, async () => isDecided).catch((cause: unknown) => cause);
  return { error, tried };
}

const failed = (step: UpStep): LifeboatError =>
  new LifeboatError("stack.step-failed", { message: `${step} failed`, remedy: "Mend it.", details: { step } });

test("a step on which no other rests fails: all behind it are carried out, and each failure is told; one that others need ends the start", async () => {
  const steps = ["db-start", "redis", "pgbouncer", "api", "haproxy", "daemon"] as const;
  const redis = failed("redis");
  assert.deepEqual(await carriedOut(steps, { redis }), { error: redis, tried: steps });
  const two = await carriedOut(steps, { redis, api: failed("api") });
  assert.deepEqual(two.tried, steps);
  assert(isLifeboatError(two.error, "stack.step-failed"));
  assert.deepEqual([two.error.message, two.error.details["step"]], ["redis failed; and api failed", "redis"]);
  assert.deepEqual((await carriedOut(steps, { "db-start": failed("db-start") })).tried, ["db-start"]);
  const aborted = new LifeboatError("platform.aborted", { message: "stopped", remedy: "Run it again." });
  for (const error of [aborted, new TypeError("a bug")]) {
    assert.deepEqual(await carriedOut(steps, { redis: error }), { error, tried: ["db-start", "redis"] });
  }
});

test("a confirmer that does not come, with its mode decided: the stack comes up without it and what rests on it; before it is decided the start ends", async () => {
  const steps = UP_STEPS.filter((step) => UP_STEPS.indexOf(step) >= UP_STEPS.indexOf("db-start"));
  const without = (...left: readonly UpStep[]) => steps.filter((step) => !left.includes(step));
  const tried = async (step: UpStep, isDecided: boolean) =>
    (await carriedOut(steps, { [step]: failed(step) }, { isDecided })).tried;
  assert.deepEqual(await tried("replica-start", true), without("proof"));
  assert.deepEqual(await tried("replica-data", true), without("replica-start", "proof"));
  assert.deepEqual(await tried("receiver", true), without("backup", "replica-data", "replica-start", "proof"));
  assert.deepEqual(await tried("pgbouncer", false), without("proof"));
  assert.equal((await tried("replica-start", false)).at(-1), "replica-start");
  assert.equal((await tried("database", true)).at(-1), "database");
});

test("a replica whose control file is damaged is not written over: what moves it out of the way is told", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, ports: await freePorts(systemRandom) });
    const tools = { ...TOOLS, stack, onRecoveryKey: () => undefined };
    await makeFolders(tools);
    await makeSecrets(TOOLS, stack.place, { owner: undefined, kept: [] });
    await makeCluster(stack.place.dataOf("db_replica"), "standby");
    await assert.rejects(rejoinNode(tools, { node: "db_replica", upstream: "db", asked: true }, {}), (error) => {
      assert(isLifeboatError(error, "stack.rejoin-refused"));
      // By way of a daemon the message is all that comes.
      assert.match(error.message, /pg_control is .* restored from the vault once \S+\/data\/db_replica is moved away/);
      assert.match(error.remedy, /move \S+\/data\/db_replica away .* lifeboat rebuild db_replica/);
      return true;
    });
  });
});

test("no daemon, an old primary that was replaced: it is told as one whom nobody makes follow; as a standby it is not", async () => {
  await withFolder(async (folder) => {
    const stack = {
      ...testStack({ stacksFolder: folder }),
      daemon: false,
      primary: "db_replica",
      recorded: "settled",
    } as const;
    await makeCluster(stack.place.dataOf("db"), "primary");
    assert.equal(await leftBehind(systemFiles, stack), "db");
    assert.equal(await leftBehind(systemFiles, { ...stack, daemon: true }), undefined);
    await makeCluster(stack.place.dataOf("db"), "standby");
    assert.equal(await leftBehind(systemFiles, stack), undefined);
  });
});

test("failover is paused, the primary does not run and a daemon does: told with the commands that a person may choose of", async () => {
  await withFolder(async (folder) => {
    const stack = { ...testStack({ stacksFolder: folder }), recorded: "settled", failoverPaused: true } as const;
    const daemon = {
      name: "daemon",
      mode: "running",
      since: 0 as Instant,
      adopted: false,
      restarts: 0,
      ports: [],
    } as const;
    const platform = { ...TOOLS.platform, state: async () => [{ ...daemon, lastEnd: undefined }] };
    await assert.rejects(planStackUp({ ...TOOLS, platform }, stack, {}), (error) => {
      assert(isLifeboatError(error, "stack.failover-paused"));
      return error.remedy.includes("lifeboat restart db --accept-outage");
    });
  });
});

test("another database is described than the poolers lead to since a controller acted: told with both; before, it is made", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, database: "shop" });
    const file = databasesFileOf(stack);
    await mkdir(path.dirname(file), { recursive: true });
    const write = (epoch: number, name: string): Promise<void> => {
      const databases = [{ name, database: name, server: { host: "127.0.0.1", port: 5432 } }];
      return writeFile(file, formatDatabases({ epoch, databases }));
    };
    for (const [epoch, name] of [
      [0, "catalog"],
      [3, "shop"],
    ] as const) {
      await write(epoch, name);
      assert.ok((await planStackUp(TOOLS, stack, {})).steps.length > 0);
    }
    await write(3, "catalog");
    await assert.rejects(planStackUp(TOOLS, stack, {}), (error) => {
      assert(isLifeboatError(error, "stack.database-changed"));
      return error.message.includes("shop") && error.remedy.includes("catalog");
    });
  });
});

test("a primary whose data is gone is refused while the vault holds backups of it, and nothing is made in its place", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.secrets);
    await makeSecrets(TOOLS, stack.place, { owner: undefined });
    const passphrase = (await readSecrets(systemFiles, stack.place))["vault-passphrase"];
    const store = await openDiskStore({ ...TOOLS, folder: stack.place.vault });
    const { vault } = await initVault({ ...TOOLS, store }, { kind: "passphrase", passphrase }, {});
    await storeSyntheticBackup(vault, { systemId: "7000000000000000001" as SystemId, segment: 1 });
    await assert.rejects(planStackUp(TOOLS, stack, {}), (error) => {
      assert(isLifeboatError(error, "stack.data-missing"));
      assert.match(error.remedy, /restore --target .*\/data\/db\. /);
      return true;
    });
    // After a failover it is the other one, and this one has all the data.
    await makeCluster(stack.place.dataOf("db"), "standby");
    const failedOver = { ...stack, primary: "db_replica", recorded: "settled" } as const;
    await assert.rejects(planStackUp(TOOLS, failedOver, {}), (error) => {
      assert(isLifeboatError(error, "stack.data-missing"));
      assert.match(
        error.message,
        /db_replica, has no data that could start in .*\/data\/db_replica, .*db has data in .*\/data\/db$/,
      );
      assert.match(error.remedy, /restore --target .*\/data\/db_replica\. /);
      return true;
    });
    await rm(stack.place.dataOf("db"), { recursive: true });
    // What cannot be looked into for want of a secret is not taken for nothing.
    for (const gone of ["redis", "vault-passphrase"] as const) {
      await rm(secretFile(stack.place, gone));
      await assert.rejects(planStackUp(TOOLS, stack, {}), (error) => {
        assert(isLifeboatError(error, "stack.data-missing"));
        assert.match(error.message, /the vault .* may hold backups of it/);
        return true;
      });
    }
    assert.equal(await systemFiles.stat(stack.place.dataOf("db")), undefined);
  });
});

test("a vault that the receiver has worked with and that is gone is told, and in another one's place the receiver is restarted", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.secrets);
    await makeSecrets(TOOLS, stack.place, { owner: undefined });
    await systemFiles.makeFolder(stack.place.spool);
    await writeSpoolState(TOOLS, stack.place.spool, {
      vaultId: "0".repeat(32),
      systemId: "7000000000000000001" as SystemId,
      walSegmentBytes: 16 * 1024 * 1024,
      timeline: 1 as Timeline,
      history: "",
      slot: "lifeboat",
      flushedLsn: 0x3000000n as Lsn,
      rangeFrom: undefined,
      gaps: [],
    });
    await assert.rejects(planStackUp(TOOLS, stack, {}), (error) => {
      assert(isLifeboatError(error, "stack.vault-missing"));
      assert.match(error.message, /vault 0{32}, and there is none in /);
      return true;
    });
    assert.equal(await systemFiles.stat(stack.place.vault), undefined);
    const passphrase = (await readSecrets(systemFiles, stack.place))["vault-passphrase"];
    const store = await openDiskStore({ ...TOOLS, folder: stack.place.vault });
    await initVault({ ...TOOLS, store, stretchCost: NO_STRETCH }, { kind: "passphrase", passphrase }, {});
    const { facts } = await planStackUp(TOOLS, stack, {});
    assert.equal(facts.replacedVault, "0".repeat(32));
    const restarted: string[] = [];
    const running = { name: "receiver", mode: "running", since: 0 as Instant, adopted: false, restarts: 0 } as const;
    const platform = {
      ...TOOLS.platform,
      state: async () => [{ ...running, ports: [], lastEnd: undefined }],
      restart: async (name: string) => void restarted.push(name),
    };
    await STEPS.receiver.act({ ...TOOLS, platform, stack, onRecoveryKey: () => undefined }, {});
    assert.deepEqual(restarted, ["receiver"]);
  });
});

test("looking at a stack that was never started makes nothing", async () => {
  await withFolder(async (folder) => {
    const { steps } = await planStackUp(TOOLS, testStack({ stacksFolder: folder }), {});
    assert.equal(steps[0], "folders");
    assert.deepEqual(await systemFiles.list(folder), []);
  });
});

test("a sockets' folder that is gone, as after a restart of the machine, is made again", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.secrets);
    await makeSecrets(TOOLS, stack.place, { owner: undefined });
    const { steps } = await planStackUp(TOOLS, stack, {});
    assert.equal(steps[0], "folders");
    await systemFiles.makeFolder(stack.place.sockets);
    assert.notEqual((await planStackUp(TOOLS, stack, {})).steps[0], "folders");
  });
});

test("the port of a component that the stack does without may be somebody else's", async () => {
  await withFolder(async (folder) => {
    await withListener(
      () => undefined,
      async (mcp) => {
        const ports = { ...(await freePorts(systemRandom)), mcp };
        const plan = (service: boolean) =>
          checkedPlan(TOOLS, testStack({ stacksFolder: folder, ports, service }), { portsChosen: true });
        assert.ok(!(await plan(false)).includes("mcp"));
        await assert.rejects(plan(true), (error) => isLifeboatError(error, "stack.port-busy"));
      },
    );
  });
});

test("a program that waits to be started again, and whose port somebody took, is not waited for: who has it is told", async () => {
  await withFolder(async (folder) => {
    await withListener(
      () => undefined,
      async (redis) => {
        const ports = { ...(await freePorts(systemRandom)), redis };
        const at = { name: "redis", since: 0 as Instant, adopted: false, restarts: 3, ports: [], lastEnd: undefined };
        const plan = async (...modes: readonly ComponentMode[]) => {
          const left = [...modes];
          const state = async () => [{ ...at, mode: (left.length > 1 ? left.shift() : left[0]) ?? "running" }];
          const tools = { ...TOOLS, platform: { ...TOOLS.platform, state } };
          return await checkedPlan(tools, testStack({ stacksFolder: folder, ports }), { portsChosen: true });
        };
        await assert.rejects(plan("backing-off"), (error) => {
          assert(isLifeboatError(error, "stack.port-busy"));
          assert.match(error.message, /wanted for redis \(stack\.redisPort\), is held by process \d+/);
          return true;
        });
        assert.ok((await plan("running")).length > 0);
        // Observed, then looked at, then looked at again.
        assert.ok((await plan("backing-off", "backing-off", "running")).length > 0);
      },
    );
  });
});

test("all programs that are missing are named at once, with the folders that were looked into", async () => {
  const stack = testStack();
  const request = {
    user: undefined,
    folders: ["/nowhere", "/else"],
    lifeboat: TOOLS.programs.lifeboat,
    service: TOOLS.programs.service,
    unique: "test",
  };
  await assert.rejects(findPrograms(TOOLS, stack, request, {}), (error) => {
    assert(isLifeboatError(error, "stack.program-missing"));
    assert.match(error.message, /^redis-server, pgbouncer, haproxy are in none of \/nowhere, \/else$/);
    return true;
  });
});

test("a pooler that does not let the application in is told with its socket's folder and its port", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await assert.rejects(askPooler(stack, HIDDEN_SECRETS, { instance: "pgbouncer_2" }), (error) => {
      assert(isLifeboatError(error, "stack.proof-failed"));
      assert.match(error.message, /at .*\/run\/pgbouncer_2 on port 5435 does not serve buywhere/);
      return true;
    });
  });
});

test("whatever runs with a changed file is restarted, also when others do not come back, and all that failed is told", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await makeFolders({ ...TOOLS, stack });
    await makeSecrets(TOOLS, stack.place, { owner: undefined });
    const restarted: string[] = [];
    /** What the restarts of some end with. */
    const write = async (
      release: string,
      failing: Readonly<Record<string, "stack.step-failed" | "platform.aborted">>,
    ) => {
      restarted.length = 0;
      const common = { mode: "running", since: 0 as Instant, adopted: false, restarts: 0, ports: [] } as const;
      const platform = {
        ...TOOLS.platform,
        state: async () => ["api", "mcp", "scraper-scheduler"].map((name) => ({ ...common, name, lastEnd: undefined })),
        restart: async (name: string) => {
          restarted.push(name);
          const code = failing[name];
          if (code !== undefined)
            throw new LifeboatError(code, { message: `${name} fails`, remedy: "Look at its log." });
        },
      };
      const onRecoveryKey = () => undefined;
      await writeConfiguration(
        { ...TOOLS, platform, stack: testStack({ stacksFolder: folder, release }), onRecoveryKey },
        {},
      );
    };
    const all = ["api", "mcp", "scraper-scheduler"];
    await write("1.0.0", {});
    assert.deepEqual(restarted, all);
    await assert.rejects(write("1.0.1", { api: "stack.step-failed" }), { message: "api fails" });
    assert.deepEqual(restarted, all);
    await assert.rejects(write("1.0.2", { api: "stack.step-failed", mcp: "stack.step-failed" }), (error) => {
      assert(error instanceof AggregateError);
      assert.deepEqual(
        error.errors.map(({ message }) => message),
        ["api fails", "mcp fails"],
      );
      return true;
    });
    assert.deepEqual(restarted, all);
    await assert.rejects(write("1.0.3", { api: "platform.aborted" }), { message: "api fails" });
    assert.deepEqual(restarted, ["api"], "who wants it to end is obeyed");
  });
});

test("what runs and is not described any more is stopped by the next start, whoever needs another before it", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, daemon: false, service: false });
    const at = { since: 0 as Instant, adopted: false, restarts: 0, ports: [], lastEnd: undefined };
    const there = new Set(["redis", "api", "api_2", "mcp", "daemon", "daemon_2", "somebody_else"]);
    const modeOf = (name: string) => (name === "mcp" ? "backing-off" : "running");
    const stopped: string[] = [];
    const platform = {
      ...TOOLS.platform,
      state: async () => [...there].map((name) => ({ ...at, name, mode: modeOf(name) }) as const),
      stop: async (name: string) => {
        stopped.push(name);
        there.delete(name);
        return { killed: false };
      },
    };
    const tools = { ...TOOLS, platform };
    assert.ok((await planStackUp(tools, stack, {})).steps.includes("undescribed"));
    const stepTools = { ...tools, stack, onRecoveryKey: () => undefined };
    assert.equal(await runStep(stepTools, "undescribed", {}), true);
    assert.deepEqual(stopped, ["daemon_2", "daemon", "mcp", "api_2", "api"]);
    assert.equal(await runStep(stepTools, "undescribed", {}), false);
    const described = testStack({ stacksFolder: folder });
    assert.ok(!(await planStackUp(tools, described, {})).steps.includes("undescribed"));
  });
});
