/**
 * The parts of a stack on this machine as failover wants them: what binds its drivers to its description.
 *
 * The controller's folder, which only who started the stack may enter:
 *
 * ```
 * epoch.json, epoch.lock   who acts (src/lease)          record.json     what all controllers agree on
 * journal/                 what was decided and done     node-machines.json   the greatest epoch that had one started, stopped
 * reports/                 one for each event            daemon.sock     where the daemon is asked; daemon.lock while one runs
 * ```
 */
import path from "node:path";
import { assert } from "../errors/error.ts";
import { poolerPort } from "../failover/pooler-driver.ts";
import type { Epoch, FailoverPorts, NodePort } from "../failover/ports.ts";
import { etcdLeaseStore } from "../lease/etcd/etcd-lease.ts";
import { etcdRegister } from "../lease/etcd/etcd-register.ts";
import { fileLeaseStore } from "../lease/file/file-lease.ts";
import { fileRegister } from "../lease/file/file-register.ts";
import type { LeaseStore } from "../lease/lease.ts";
import type { Register } from "../lease/register.ts";
import { withEpoch } from "../node/admission.ts";
import { askInventory, type InventoryPlace } from "../node/inventory.ts";
import { SqlNode } from "../node/node.ts";
import type { Platform } from "../platform/components.ts";
import { writeDurable } from "../platform/durable.ts";
import { filesOwnedBy } from "../platform/owned-files.ts";
import { openPooler } from "../pooler/open-pooler.ts";
import type { PgBouncer } from "../pooler/pgbouncer.ts";
import type { ServerAddress } from "../pooler/pooler.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import { type Lsn, lsnAdd } from "../postgres/lsn.ts";
import { passingAsidesOf, removeAsides } from "../stack/asides.ts";
import { instancesOf, poolerSocketFolder } from "../stack/instances.ts";
import { type NodeName, nodePort, replicaConnection } from "../stack/node-settings.ts";
import { nodeAddress, nodeDataOf, PROOF_TABLE } from "../stack/nodes.ts";
import { databasesFileOf } from "../stack/pooler-config.ts";
import { NODE_NAMES } from "../stack/primary.ts";
import { type Rejoined, type RejoinTools, rejoinNode } from "../stack/rejoin.ts";
import type { StackSecrets } from "../stack/secrets.ts";
import { componentSpec } from "../stack/specs.ts";
import { CONFIRMERS, ROLES, type StackDescription } from "../stack/stack.ts";
import type { StepTools } from "../stack/steps.ts";
import type { StackPrograms } from "../stack/tools.ts";
import { WitnessClient } from "../witness/client.ts";
import { controlSocket } from "../witness/control.ts";
import { witnessPort } from "../witness/witness-port.ts";
import { announcing, leasePort, recordPort } from "./authority.ts";
import { EpochGuard } from "./epoch-guard.ts";
import { LocalMachines } from "./machines.ts";
import { logInAs, writeAs } from "./pool-client.ts";
import { Survey } from "./survey.ts";

/** Where the right to act is granted: on this machine, or in etcd. */
export type Authority =
  | { readonly kind: "file" }
  | {
      readonly kind: "etcd";
      readonly endpoints: readonly string[];
      readonly prefix: string;
      readonly ttlSeconds: number;
    };

/** What the parts are made of. */
export type AssemblyTools = Omit<StepTools, "programs"> & {
  /** Who starts or makes a node needs its programs, which take longer to find and try than all the rest: looked for once. */
  readonly programs: () => Promise<StackPrograms>;
  readonly platform: Platform;
  readonly secrets: StackSecrets;
  readonly journal: FailoverPorts["journal"];
  readonly hooks: FailoverPorts["hooks"];
  readonly authority: Authority;
  /** Says to others who we are. */
  readonly holder: string;
  readonly notice: (message: string) => void;
  /** Told what only an old primary had, before it is written over. */
  readonly onBeyond: NonNullable<RejoinTools["onBeyond"]>;
};

/** The parts, and what must be closed or waited for. */
export type Assembly = {
  readonly ports: FailoverPorts;
  readonly machines: LocalMachines;
  readonly survey: Survey;
  /** Opens what is kept open. Rejects with what does not answer. */
  warmUp(options: { readonly signal: AbortSignal }): Promise<void>;
  close(): Promise<void>;
};

const CONNECT_TIMEOUT_MS = 2_000;
/** Between two looks whether a rebuilt node streams; nobody waits for it but a person who rebuilds. */
const STREAMS_LOOK_MS = 200;
/** etcd on a local network answers in milliseconds. */
const ETCD_TIMEOUT_MS = 1_000;

/** Binds. Nothing is connected before it is asked. */
export function assemble(tools: AssemblyTools): Assembly {
  const { stack, clock, random, files, locks } = tools;
  const { store, record } = authorityOf(tools);
  const guard = new EpochGuard(fileRegister({ files, locks }, path.join(stack.place.controller, "node-machines.json")));
  const machines = new LocalMachines({
    platform: tools.platform,
    guard,
    specOf: async (node) => componentSpec(stack, nodeNameOf(node), { ...tools, programs: await tools.programs() }),
    shutdownLsnOf: (node) => shutdownLsnOf(tools, nodeNameOf(node)),
    prepareReplica: async ({ node, upstream, asked }, options) => {
      const request = { node: nodeNameOf(node), upstream: nodeNameOf(upstream), asked };
      const whole = { ...tools, programs: await tools.programs() };
      const { decision, durationMs, ...kept } = await rejoinNode(whole, request, options);
      tools.notice(`${node} is made to follow ${upstream} (${decision.kind}, ${durationMs} ms)${keptWords(kept)}`);
      return decision.kind;
    },
    leaveEpoch: (node, epoch) => leaveEpoch(tools, nodeNameOf(node), epoch),
    letGo: (node, options) =>
      letGo(
        tools,
        nodes.find(({ name }) => name === node),
        options,
      ),
    isUnfinished: async (node) => (await nodeDataOf(files, stack.place.dataOf(nodeNameOf(node)))) === "unfinished",
    answers: async (node) => {
      const probe = await nodes.find(({ name }) => name === node)?.probe({ timeoutMs: CONNECT_TIMEOUT_MS });
      return probe?.kind === "answered" || probe?.kind === "error";
    },
    clock,
    notice: tools.notice,
  });
  const nodes: readonly SqlNode[] = NODE_NAMES.map((name) => nodeOf(tools, machines, name));
  // The pooler's user reads what is written for it.
  const poolerFiles = tools.user === undefined ? files : filesOwnedBy(files, tools.user);
  const poolers = consolesOf(stack).map((console) =>
    openPooler(
      { ...tools, files: poolerFiles },
      { console, password: tools.secrets["pooler-admin"], databasesFile: databasesFileOf(stack), owner: tools.user },
    ),
  );
  return {
    machines,
    survey: new Survey(
      clock,
      NODE_NAMES.map((name) => ({ name, ask: (call) => askInventory(surveyPlace(tools, name), call) })),
      tools.notice,
    ),
    ports: {
      clock,
      random,
      nodes,
      machines,
      witness: witnessOf(tools, nodes),
      poolers: poolers.map((pooler, index) => poolerOf(tools, pooler, consolesOf(stack)[index])),
      lease: announcing(leasePort({ clock, store }, tools.holder), hearing(nodes, poolers)),
      record: recordPort(record, `the record of stack ${stack.name}`),
      journal: tools.journal,
      hooks: tools.hooks,
    },
    warmUp: async (options) => {
      await Promise.all(poolers.map((pooler) => pooler.warmUp(options)));
    },
    close: async () => {
      await machines.close();
      await Promise.all(poolers.map((pooler) => pooler.close()));
    },
  };
}

function keptWords({ evidence, aside, asideLasts }: Pick<Rejoined, "evidence" | "aside" | "asideLasts">): string {
  const wal = evidence === undefined ? "" : `; WAL that only it had is kept in ${evidence}`;
  const until = asideLasts ? "until somebody removes that" : "until it streams";
  return aside === undefined ? wal : `${wal}; its old data in ${aside}, ${until}`;
}

/**
 * Has nodes and poolers hear of an epoch. What it does not reach hears of it by the first order, and so do the machines: a
 * rejoin that takes long goes on until an order of a greater epoch comes to its node, and this is none.
 */
function hearing(nodes: readonly SqlNode[], poolers: readonly PgBouncer[]): (epoch: Epoch) => Promise<void> {
  return async (epoch) => {
    await Promise.allSettled([
      ...nodes.map((node) => node.hear(epoch, { timeoutMs: CONNECT_TIMEOUT_MS })),
      ...poolers.flatMap((pooler) => [pooler.hear(epoch, {}), pooler.warmUp({})]),
    ]);
  };
}

function authorityOf({ authority, locks, files, clock, stack }: AssemblyTools): {
  readonly store: LeaseStore;
  readonly record: Register;
} {
  const folder = stack.place.controller;
  if (authority.kind === "file") {
    const store = fileLeaseStore({ files, locks, clock }, folder);
    return { store, record: fileRegister({ files, locks }, path.join(folder, "record.json")) };
  }
  const { endpoints, prefix, ttlSeconds } = authority;
  const place = { endpoints, timeoutMs: ETCD_TIMEOUT_MS, fetch };
  return { store: etcdLeaseStore({ ...place, prefix, ttlSeconds }), record: etcdRegister(place, `${prefix}/record`) };
}

/** Of a node that streams, or that is the primary by now, nothing is waited for any more. */
async function letGo(
  { stack, clock, files, locks, notice }: AssemblyTools,
  node: NodePort | undefined,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for (; node !== undefined; await clock.sleep(STREAMS_LOOK_MS, options)) {
    // Looked for first: what is kept by a rebuild that begins meanwhile stays.
    const asides = await passingAsidesOf(files, stack, nodeNameOf(node.name));
    if (asides.length === 0) return;
    const probe = await node.probe({ timeoutMs: CONNECT_TIMEOUT_MS, ...options });
    const role = probe.kind === "answered" ? probe.view.role : undefined;
    if (role?.kind === "primary") {
      return notice(`${node.name} became the primary before it was seen streaming: its old data stays in ${asides[0]}`);
    }
    if (role?.receiver.kind !== "streaming") continue;
    const isGone = await removeAsides({ files, locks }, stack, { node: nodeNameOf(node.name), asides });
    if (isGone) return notice(`${node.name} streams: its old data is not kept any longer`);
    // Not waited for: who puts it back takes as long as a restore, and who rebuilds has the controller stand still.
    const until = "it goes when the daemon starts anew, or the node was rebuilt once more";
    return notice(`${node.name} streams, and its old data is being put back: it stays in ${asides[0]}; ${until}`);
  }
}

function nodeOf({ stack, secrets, files, clock }: AssemblyTools, machines: LocalMachines, name: NodeName): SqlNode {
  const node = new SqlNode(clock, {
    name,
    address: { ...nodeAddress(stack, secrets, name), applicationName: "lifeboat_controller" },
    connectionTo: (upstream) => replicaConnection(stack, { node: name, upstream: nodeNameOf(upstream) }),
    freeBytes: async () => (await files.space(stack.place.dataOf(name))).freeBytes,
    cloning: () => machines.isRejoining(name),
  });
  const probe = node.probe.bind(node);
  node.probe = async (call) => machines.onItsWay(name, await probe(call));
  return node;
}

function surveyPlace({ stack, secrets }: AssemblyTools, node: NodeName): InventoryPlace {
  const server = { ...nodeAddress(stack, secrets, node), applicationName: "lifeboat_survey" };
  return { server, database: { ...server, user: ROLES.lifeboat, password: secrets.backup, database: stack.database } };
}

function witnessOf({ stack, clock }: AssemblyTools, nodes: readonly SqlNode[]): FailoverPorts["witness"] {
  return witnessPort({
    client: new WitnessClient(controlSocket(stack.place.spool)),
    clock,
    nodes: new Map(NODE_NAMES.map((node) => [node, { host: "127.0.0.1", port: nodePort(stack, node) }])),
    openNode: async (name, call) => {
      const node = nodes.find((each) => each.name === name);
      assert(node !== undefined, `the stack has a node ${name}`);
      return await node.lend(call);
    },
  });
}

/** One pooler is reached as clients reach it; of several, which share their port, each by its own socket. */
function consolesOf(stack: StackDescription): readonly ServerAddress[] {
  const { pgbouncer: port } = stack.ports;
  if (stack.poolers === 1) return [{ host: "127.0.0.1", port }];
  return instancesOf(stack, "pgbouncer").map((name) => ({ host: poolerSocketFolder(stack, name), port }));
}

function poolerOf(
  { stack, secrets }: AssemblyTools,
  pooler: PgBouncer,
  console: ServerAddress = { host: "127.0.0.1", port: stack.ports.pgbouncer },
): FailoverPorts["poolers"][number] {
  const server = (port: number) => ({ host: "127.0.0.1", port });
  const role = { user: stack.applicationRole, password: secrets.application, database: stack.database };
  const through = { server: console, table: PROOF_TABLE };
  const port = poolerPort({
    pooler,
    addressOf: new Map(NODE_NAMES.map((name) => [name, server(nodePort(stack, name))])),
    logIn: (address, options) => logInAs(role, address, options),
    write: (options) => writeAs(role, through, options),
  });
  // Nothing is decided by it: a pooler that is busy with what it was told holds up no decision.
  const view = port.view.bind(port);
  port.view = (call) => view({ ...call, timeoutMs: Math.min(call.timeoutMs, POOLER_LOOK_MS) });
  return port;
}

/** A pooler answers three questions in milliseconds. */
const POOLER_LOOK_MS = 150;

/** The server reads it when it starts. Whose data are unfinished is not started. */
async function leaveEpoch({ stack, files, user }: AssemblyTools, node: NodeName, epoch: Epoch): Promise<void> {
  const file = path.join(stack.place.dataOf(node), "postgresql.auto.conf");
  if ((await files.stat(file)) === undefined) return;
  const before = (await files.readFile(file)).toString("utf8");
  const text = withEpoch(before, epoch);
  if (text === before) return;
  const owned = user === undefined ? files : filesOwnedBy(files, user);
  await writeDurable(owned, {
    file,
    parts: [Buffer.from(text)],
    over: "replace",
    permissions: PRIVATE_MODE,
    unique: "lifeboat",
  });
}

const PRIVATE_MODE = 0o600;

/** What a shutdown checkpoint takes at the least: a replica that has replayed past its beginning has replayed it. */
const RECORD_BYTES_MIN = 24;

/** Just past the beginning of the shutdown checkpoint, which is the last record of a server that ended in an orderly way. */
async function shutdownLsnOf({ files, stack }: AssemblyTools, node: NodeName): Promise<Lsn | undefined> {
  const control = parseControlFile(await files.readFile(path.join(stack.place.dataOf(node), CONTROL_FILE_PATH)));
  return control.state === "shut down" ? lsnAdd(control.checkpoint.lsn, RECORD_BYTES_MIN) : undefined;
}

/** A name that came from a plan or a person. */
export function nodeNameOf(name: string): NodeName {
  const found = NODE_NAMES.find((each) => each === name);
  if (found === undefined) throw new RangeError(`the stack has no node ${name}`);
  return found;
}

/** The slots that a primary keeps: of the receiver and of the other nodes. */
export const KEPT_SLOTS: readonly string[] = [CONFIRMERS.receiver, ...NODE_NAMES];
