/** The steps of a start-up: how each is looked at, and how it is brought about. What they are is in plan.ts. */
import { askBalancerHealth } from "../balancer/ask.ts";
import { pingCache } from "../cache/ask.ts";
import { isLifeboatError } from "../errors/error.ts";
import { readReceiverStatus } from "../wal/report.ts";
import type { ComponentName } from "./component-names.ts";
import { daemonAnswers } from "./daemon-config.ts";
import { allRun, instancesOf, scraperSocketOf, surplusOf } from "./instances.ts";
import {
  makeFolders,
  makePoolerFolders,
  makePrimary,
  makeVault,
  takeFirstBackup,
  writeConfiguration,
  writeNodeFiles,
} from "./making.ts";
import type { NodeName } from "./node-settings.ts";
import { askPrimary, nodeDataOf, prepareDatabase, setDurability } from "./nodes.ts";
import {
  hasFolders,
  hasMarker,
  type LookTools,
  lookAtVault,
  replacedVault,
  staleConfig,
  undescribedPrograms,
} from "./observe.ts";
import type { PrimaryFacts, StackFacts, UpStep } from "./plan.ts";
import { NODE_NAMES } from "./primary.ts";
import { askPooler, proveStack } from "./prove.ts";
import { receiverNow } from "./receiver-now.ts";
import { rejoinNode } from "./rejoin.ts";
import { type KeptSecret, makeSecrets, missingSecrets, readSecrets, type StackSecrets } from "./secrets.ts";
import { askApi, askService, migrateDatabase } from "./service.ts";
import { componentSpecs } from "./specs.ts";
import { replicaOf, type StackDescription } from "./stack.ts";
import { type CallOptions, runningComponents, type StackTools, standingComponents } from "./tools.ts";

/** What looking at the effect of a step needs. */
export type StepLookTools = LookTools & { readonly stack: StackDescription };

/** What a step needs. */
export type StepTools = StackTools & {
  readonly stack: StackDescription;
  readonly onRecoveryKey: (recoveryKey: string) => void;
};

/** How a step is done. */
export type Step = {
  /** Whose log says why it failed; of a node, by its role. */
  readonly component?: ComponentName | ((stack: StackDescription) => ComponentName);
  /** How long its effect may take to show once it was acted. */
  readonly timeoutMs: number;
  readonly holds: (tools: StepLookTools, options: CallOptions) => Promise<boolean>;
  readonly act: (tools: StepTools, options: CallOptions) => Promise<void>;
};

/** The component of a step. */
export function stepComponent({ component }: Step, stack: StackDescription): ComponentName | undefined {
  return typeof component === "function" ? component(stack) : component;
}

/** What shows at once. */
const AT_ONCE_MS = 2_000;
/** A server that recovers after a crash, with the WAL of some minutes to replay. */
const NODE_START_TIMEOUT_MS = 120_000;
/** Redis may have an AOF to load, PgBouncer and HAProxy nothing. */
const PROGRAM_START_TIMEOUT_MS = 30_000;
/** A confirmer that has to catch up first. */
const STREAM_TIMEOUT_MS = 60_000;
/** All steps. */
export const STEPS: Readonly<Record<UpStep, Step>> = {
  folders: {
    timeoutMs: AT_ONCE_MS,
    holds: async ({ files, stack }) => await hasFolders(files, stack.place),
    act: makeFolders,
  },
  secrets: {
    timeoutMs: AT_ONCE_MS,
    holds: async ({ files, stack }) => (await missingSecrets(files, stack.place)).length === 0,
    act: async ({ files, random, stack, user }, options) =>
      await makeSecrets({ files, random }, stack.place, {
        owner: user,
        kept: await keptSecrets(files, stack),
        ...options,
      }),
  },
  config: {
    timeoutMs: AT_ONCE_MS,
    holds: async (tools) =>
      (await staleConfig(tools, tools.stack, await readSecrets(tools.files, tools.stack.place))).length === 0,
    act: writeConfiguration,
  },
  undescribed: {
    timeoutMs: AT_ONCE_MS,
    holds: async ({ platform, stack }, options) => (await undescribedPrograms(platform, stack, options)).length === 0,
    act: async ({ platform, stack }, options) => {
      for (const name of await undescribedPrograms(platform, stack, options)) await platform.stop(name, options);
    },
  },
  "db-data": {
    timeoutMs: AT_ONCE_MS,
    holds: async ({ files, stack }) => (await nodeDataOf(files, stack.place.dataOf(stack.primary))) === "primary",
    act: makePrimary,
  },
  "db-start": nodeStart(
    ({ primary }) => primary,
    async (tools, secrets, options) => (await askPrimary(tools.stack, secrets, options)) !== undefined,
  ),
  database: {
    timeoutMs: AT_ONCE_MS,
    holds: async (tools, options) => {
      const facts = await primaryFacts(tools, options);
      return facts?.prepared === true && facts.rolesFit;
    },
    act: async ({ files, stack }, options) =>
      await prepareDatabase(stack, await readSecrets(files, stack.place), options),
  },
  vault: {
    timeoutMs: AT_ONCE_MS,
    holds: async (tools, options) => (await vaultState(tools, options)) !== "absent",
    act: makeVault,
  },
  receiver: {
    component: "receiver",
    timeoutMs: STREAM_TIMEOUT_MS,
    // Whom it is to follow the daemon decides, which is started later, where an action has not ended.
    holds: async (tools, options) =>
      (await runs(tools, "receiver", options)) &&
      (tools.stack.recorded === "unsettled" ||
        ((await primaryFacts(tools, options))?.receiverStreams === true &&
          (await replacedVault(tools, tools.stack, options)) === undefined)),
    act: async (tools, options) => {
      const { platform, stack } = tools;
      const mayWait = (await runningComponents(platform, options)).has("receiver");
      await startComponent("receiver")(tools, options);
      if (!mayWait) return;
      // One that was refused at its start waits to be told whom else to follow. A step before this one may have mended why.
      const status = await readReceiverStatus(tools, stack.place.spool);
      const isHopeless = status.kind === "running" && status.report.mode === "failed";
      // So is one that has a vault open which is not there any more: it stores nothing in another.
      if (isHopeless || (await replacedVault(tools, stack, options)) !== undefined) {
        await platform.restart("receiver", options);
      }
    },
  },
  backup: {
    timeoutMs: AT_ONCE_MS,
    holds: async (tools, options) => (await vaultState(tools, options)) === "has-backup",
    act: takeFirstBackup,
  },
  "replica-data": {
    timeoutMs: AT_ONCE_MS,
    holds: async ({ files, stack }) => (await nodeDataOf(files, stack.place.dataOf(replicaOf(stack)))) === "standby",
    // As any node is made to follow: the record may count the replica as one that has what it has confirmed.
    act: async (tools, options) => {
      const request = { node: replicaOf(tools.stack), upstream: tools.stack.primary, asked: false };
      await rejoinNode(tools, request, options);
    },
  },
  "replica-start": nodeStart(
    replicaOf,
    async (tools, secrets, options) => (await askPrimary(tools.stack, secrets, options))?.replicaStreams === true,
  ),
  durability: {
    timeoutMs: AT_ONCE_MS,
    // It was set by somebody; the steps before have seen both confirmers stream.
    holds: async (tools, options) => ((await primaryFacts(tools, options))?.durability ?? "unset") !== "unset",
    act: async ({ files, stack }, options) => {
      const { name: receiver } = await receiverNow(files, stack.place);
      await setDurability(stack, { secrets: await readSecrets(files, stack.place), receiver }, options);
    },
  },
  redis: programStart("redis", async ({ stack }, secrets, options) => {
    await pingCache({ port: stack.ports.redis, password: secrets.redis }, options);
  }),
  pgbouncer: programStart("pgbouncer", async ({ stack }, secrets, options) => {
    // Nor is there anybody to lead to.
    if (stack.recorded === "unsettled") return;
    for (const instance of instancesOf(stack, "pgbouncer")) await askPooler(stack, secrets, { ...options, instance });
  }),
  // Nothing asks it anything: that it runs is all there is to see.
  pooler_watch: programStart("pooler_watch", async () => undefined),
  api: {
    component: "api",
    timeoutMs: PROGRAM_START_TIMEOUT_MS,
    holds: async (tools, options) => {
      if (!(await runs(tools, "api", options))) return false;
      // While nobody knows who the primary is, instances wait for one by themselves.
      if (tools.stack.recorded === "unsettled") return true;
      try {
        for (const name of instancesOf(tools.stack, "api")) await askApi(tools.stack, name, options);
        return true;
      } catch (error) {
        if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error)) throw error;
        return false;
      }
    },
    act: async (tools, options) => {
      // Nor is there anybody to migrate then.
      if (tools.stack.recorded !== "unsettled") await migrateDatabase(tools, tools.stack, options);
      await startComponent("api")(tools, options);
    },
  },
  haproxy: programStart("haproxy", async ({ stack }, _secrets, options) => {
    await askBalancerHealth(stack.ports.front, options);
  }),
  mcp: programStart("mcp", async ({ stack }, _secrets, options) => {
    await askService("mcp", { host: "127.0.0.1", port: stack.ports.mcp }, options);
  }),
  "scraper-scheduler": programStart("scraper-scheduler", async ({ stack }, _secrets, options) => {
    // While nobody knows who the primary is, it waits for one by itself.
    if (stack.recorded === "unsettled") return;
    await askService("scraper-scheduler", { socket: scraperSocketOf(stack) }, options);
  }),
  daemon: {
    component: "daemon",
    timeoutMs: PROGRAM_START_TIMEOUT_MS,
    // The one that stands by is there a moment later, and nothing waits for it.
    holds: async (tools, options) =>
      (await runs(tools, "daemon", options)) && (await daemonAnswers(tools.stack, options)),
    act: startComponent("daemon"),
  },
  proof: {
    component: "pgbouncer",
    timeoutMs: AT_ONCE_MS,
    holds: async (tools, options) =>
      await proveStack(
        tools,
        { stack: tools.stack, secrets: await readSecrets(tools.files, tools.stack.place) },
        options,
      ),
    act: async () => undefined,
  },
};

/** Starting a node: its files are as described first, since a restore brings those of the node that was backed up. */
function nodeStart(
  nodeOf: (stack: StackDescription) => NodeName,
  isUp: (tools: StepLookTools, secrets: StackSecrets, options: CallOptions) => Promise<boolean>,
): Step {
  return {
    component: nodeOf,
    timeoutMs: NODE_START_TIMEOUT_MS,
    holds: async (tools, options) =>
      (await runs(tools, nodeOf(tools.stack), options)) &&
      (await isUp(tools, await readSecrets(tools.files, tools.stack.place), options)),
    act: async (tools, options) => {
      const node = nodeOf(tools.stack);
      await writeNodeFiles(tools, node, options);
      await startComponent(node)(tools, options);
    },
  };
}

/** Starting a program that is up when it answers. */
function programStart(
  component: ComponentName,
  ask: (tools: StepLookTools, secrets: StackSecrets, options: CallOptions) => Promise<void>,
): Step {
  return {
    component,
    timeoutMs: PROGRAM_START_TIMEOUT_MS,
    holds: async (tools, options) => {
      if (!(await runs(tools, component, options))) return false;
      try {
        await ask(tools, await readSecrets(tools.files, tools.stack.place), options);
        return true;
      } catch (error) {
        // Not yet: it still opens its port or loads its data. A lasting refusal is told when the time is over.
        if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error)) throw error;
        return false;
      }
    },
    act: startComponent(component),
  };
}

function startComponent(component: ComponentName): Step["act"] {
  return async (tools, options) => {
    const { platform, stack } = tools;
    if (component === "pgbouncer") await makePoolerFolders(tools);
    for (const spec of componentSpecs(stack, component, tools)) await platform.start(spec, options);
    const standing = await standingComponents(platform, options);
    for (const name of surplusOf(stack, component, standing)) await platform.stop(name, options);
  };
}

async function runs(
  { platform, stack }: StepLookTools,
  component: ComponentName,
  options: CallOptions,
): Promise<boolean> {
  return allRun(stack, component, await runningComponents(platform, options));
}

/** What is there to be opened. */
async function keptSecrets(files: StepTools["files"], { place }: StackDescription): Promise<readonly KeptSecret[]> {
  const nodes = await Promise.all(NODE_NAMES.map((node) => nodeDataOf(files, place.dataOf(node))));
  const hasVault = await hasMarker(files, place.vault);
  return [
    ...(nodes.some((data) => data !== "absent") ? (["superuser"] as const) : []),
    ...(hasVault ? (["vault-passphrase"] as const) : []),
  ];
}

async function primaryFacts(tools: StepLookTools, options: CallOptions): Promise<PrimaryFacts | undefined> {
  return await askPrimary(tools.stack, await readSecrets(tools.files, tools.stack.place), options);
}

async function vaultState(tools: StepLookTools, options: CallOptions): Promise<StackFacts["vault"]> {
  return await lookAtVault(tools, tools.stack, await readSecrets(tools.files, tools.stack.place), options);
}
