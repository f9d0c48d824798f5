/** How the parts of a stack are made: folders, files, the primary, the vault with its first backup. */
import path from "node:path";
import { takeBackup } from "../backup/backup.ts";
import { reloadBalancer } from "../balancer/ask.ts";
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { renameDurable, writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import { filesOwnedBy } from "../platform/owned-files.ts";
import { currentUid } from "../platform/run-as.ts";
import { refuseForeignFolder } from "../platform/shared-folder.ts";
import { consoleOf, isLoginRefused } from "../pooler/console.ts";
import { COMMAND_TIMEOUT_MS } from "../pooler/pausing.ts";
import { initCluster, writeSettings } from "../postgres/cluster.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { addHolder } from "../vault/key-ring.ts";
import { NO_STRETCH, STRETCH_COST } from "../vault/keys.ts";
import { initVault } from "../vault/vault.ts";
import { ReceivedCoverage } from "../wal/coverage.ts";
import { parseSegmentSize } from "../wal/segment-size.ts";
import { COMPONENT_NAMES, type ComponentName } from "./component-names.ts";
import { instancesOf, poolerSocketFolder } from "./instances.ts";
import { type NodeName, nodePort, nodeSettings } from "./node-settings.ts";
import { nodeAddress, withNode } from "./nodes.ts";
import { isAsRendered, openStackVault, staleConfig } from "./observe.ts";
import { makeOpenFolder } from "./open-folder.ts";
import { refuseWhilePaused } from "./paused-poolers.ts";
import { isRecoveryKeyOwed, oweRecoveryKey } from "./recovery-key-mark.ts";
import { controlSocketOf, type RenderedFile, renderComponent, renderStack } from "./render.ts";
import { restartAlone, rollApi } from "./roll-api.ts";
import { mayBeMade, readSecrets, type StackSecrets } from "./secrets.ts";
import { liesApart } from "./shared-sockets.ts";
import { ROLES, SERVICE_COMPONENTS, type StackDescription } from "./stack.ts";
import type { StepTools } from "./steps.ts";
import { type CallOptions, runningComponents, type StackTools } from "./tools.ts";
import { markRead, markUnread, unreadComponents } from "./unread.ts";

/** A vault that gets nothing new for so long while a backup waits for WAL is not going to. */
const WAL_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** As `lifeboat backup` does by default. */
const COMPRESSION = { level: 2 };
const PRIVATE_MODE = 0o700;

/** Makes the folders; the one of the secrets last, as the sign that all are there, after a power cut too. */
export async function makeFolders({ files, stack, user }: Pick<StepTools, "files" | "stack" | "user">): Promise<void> {
  const { place } = stack;
  await makeOpenFolder(files, place.folder);
  const private_ = [place.sockets, place.vault, place.spool, place.programCache, place.feeds];
  for (const name of COMPONENT_NAMES) {
    if (name !== "daemon") private_.push(path.dirname(place.configOf(name)), place.configOf(name));
  }
  private_.push(path.dirname(place.dataOf("db")), place.dataOf("redis"));
  if (liesApart(place)) await makePrivateInShared({ files, user }, place.sockets);
  for (const folder of private_) await makePrivate({ files, user }, folder);
  for (const parent of new Set([place.folder, ...private_.map((folder) => path.dirname(folder))])) {
    await files.syncFolder(parent);
  }
  await makePrivate({ files, user }, place.secrets);
  // The secrets come into it, and with them the only passphrase of the vault.
  await files.syncFolder(place.folder);
}

/** A folder of sockets in /tmp: somebody else may have made it, or a link of its name, through which what is given here would be given there. */
async function makePrivateInShared({ files, user }: Pick<StepTools, "files" | "user">, folder: string): Promise<void> {
  await files.makeFolder(folder, PRIVATE_MODE);
  await refuseForeignFolder(files, folder, [currentUid(), user?.uid]);
}

/** No child process may be started in between with the folder half ours: mode and owner are set each time. */
async function makePrivate({ files, user }: Pick<StepTools, "files" | "user">, folder: string): Promise<void> {
  await files.makeFolder(folder, PRIVATE_MODE);
  await files.changeMode(folder, PRIVATE_MODE);
  if (user !== undefined) await files.changeOwner(folder, user);
}

/** Makes a folder for the socket of each pooler but the first, whose lies in the stack's own. */
export async function makePoolerFolders(tools: StepTools): Promise<void> {
  for (const instance of instancesOf(tools.stack, "pgbouncer").slice(1)) {
    await makePrivate(tools, poolerSocketFolder(tools.stack, instance));
  }
}

/**
 * Writes every file that is not as described; what runs with it reads it again, or is restarted where it cannot. All of it is tried before
 * failures are told: the files are as described then, and nobody would look at who had not read them.
 */
export async function writeConfiguration(tools: StepTools, options: CallOptions): Promise<void> {
  const { files, stack, platform } = tools;
  const secrets = await readSecrets(files, stack.place);
  const stale = await staleConfig(tools, stack, secrets);
  const unread = new Set(await unreadComponents(files, stack));
  for (const rendered of renderStack(stack, secrets)) {
    if (rendered.lies === "controller") await files.makeFolder(stack.place.controller, PRIVATE_MODE);
    const folder = path.dirname(rendered.file);
    if ((await files.stat(folder)) === undefined) {
      // The data of a node that is not made yet, or the configuration of a component that an older stack did not have.
      if (rendered.lies !== "config") continue;
      await makePrivate(tools, folder);
    }
    if (!stale.includes(rendered.component)) continue;
    if (await isAsRendered(tools, rendered)) continue;
    if (await wouldBeReadOtherwise(tools, rendered)) {
      await markUnread(tools, stack, rendered.component);
      unread.add(rendered.component);
    }
    await writeRendered(tools, rendered);
  }
  const running = await runningComponents(platform, options);
  const failures: unknown[] = [];
  for (const component of unread) {
    try {
      // What does not run reads its files when it starts.
      if (instancesOf(stack, component).some((name) => running.has(name))) {
        await applyConfiguration(tools, component, secrets, options);
      }
      await markRead(files, stack, component);
    } catch (error) {
      if (!isLifeboatError(error) || isLifeboatError(error, "platform.aborted")) throw error;
      if (TOLD_ONCE.has(component)) await markRead(files, stack, component);
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures);
}

/** What they wait for may be for a later step to bring about: tried again first of all, no start would come that far. */
const TOLD_ONCE: ReadonlySet<ComponentName> = new Set(["db", "db_replica", ...SERVICE_COMPONENTS]);

async function wouldBeReadOtherwise({ files }: StepTools, { file, text, reads }: RenderedFile): Promise<boolean> {
  if (reads === undefined || (await files.stat(file)) === undefined) return true;
  return reads((await files.readFile(file)).toString("utf8")) !== reads(text);
}

/** Writes a node's files into its data folder where they are not as described. */
export async function writeNodeFiles(tools: StepTools, node: NodeName, options: CallOptions): Promise<void> {
  const { files, stack, user, random } = tools;
  const secrets = await readSecrets(files, stack.place);
  for (const rendered of renderComponent(stack, secrets, node)) {
    if (!(await isAsRendered(tools, rendered))) await writeRendered(tools, rendered, options);
  }
  // Makes postgresql.conf include ours, whatever a restore brought.
  const unique = random(8).toString("hex");
  const dataFolder = stack.place.dataOf(node);
  await writeSettings(files, { dataFolder, user, settings: nodeSettings(stack, node), unique });
}

/** Runs initdb beside the place and gives the cluster its name when it is whole: cut short, the next start begins anew. */
export async function makePrimary(tools: StepTools, options: CallOptions): Promise<void> {
  const { files, stack, user, programs, random } = tools;
  const secrets = await readSecrets(files, stack.place);
  const dataFolder = stack.place.dataOf(stack.primary);
  const making = `${dataFolder}.making`;
  await files.removeTree(making);
  await initCluster(tools, {
    installation: programs.postgres,
    dataFolder: making,
    user,
    superuser: { name: ROLES.superuser, password: secrets.superuser },
    socketAuthentication: "scram-sha-256",
    settings: nodeSettings(stack, stack.primary),
    unique: random(8).toString("hex"),
    ...options,
  });
  await renameDurable(files, { from: making, to: dataFolder });
  await writeNodeFiles(tools, stack.primary, options);
}

/** Makes the vault and tells its recovery key. */
export async function makeVault(tools: StepTools, options: CallOptions): Promise<void> {
  const { stack, clock, random } = tools;
  const { store, secret } = await stackStore(tools);
  await oweRecoveryKey(tools, stack.place, options);
  const stretchCost = mayBeMade(secret.passphrase) ? NO_STRETCH : STRETCH_COST;
  const { recoveryKey } = await initVault({ store, clock, random, files: tools.files, stretchCost }, secret, options);
  assert(recoveryKey !== undefined, "a vault with a passphrase has a recovery key");
  tools.onRecoveryKey(recoveryKey);
}

/**
 * Makes another recovery key of the vault and tells it, where the last one may have been shown to nobody. That one goes on opening the vault:
 * somebody may have noted it all the same.
 */
export async function makeOwedRecoveryKey(tools: StepTools, options: CallOptions): Promise<void> {
  if (!(await isRecoveryKeyOwed(tools, tools.stack.place))) return;
  const { clock, random } = tools;
  const { store, secret } = await stackStore(tools);
  const added = { holder: { kind: "recovery-key" }, label: LATER_KEY_LABEL } as const;
  const { recoveryKey } = await addHolder({ store, clock, random }, secret, added, options);
  assert(recoveryKey !== undefined, "a recovery key was added");
  tools.onRecoveryKey(recoveryKey);
}

/** In listings of who opens the vault. */
const LATER_KEY_LABEL = "of a later lifeboat up";

/** Where the stack's vault lies or will lie, and what opens it. */
async function stackStore(tools: StepTools) {
  const { stack, clock, random } = tools;
  const secrets = await readSecrets(tools.files, stack.place);
  const folder = stack.place.vault;
  const store = await openDiskStore({ files: vaultFiles(tools), random, clock, folder, access: "write" });
  return { store, secret: { kind: "passphrase", passphrase: secrets["vault-passphrase"] } as const };
}

/** Takes the backup that the replica is made of. The receiver must stream. */
export async function takeFirstBackup(tools: StepTools, options: CallOptions): Promise<void> {
  const { stack, clock, files, locks } = tools;
  const secrets = await readSecrets(files, stack.place);
  const vault = await openStackVault({ ...tools, files: vaultFiles(tools) }, stack, secrets, {
    ...options,
    access: "write",
  });
  const connection = await openReplication(backupAddress(stack, secrets), options);
  try {
    const wal = new ReceivedCoverage({
      vault,
      clock,
      files,
      locks,
      spoolFolder: stack.place.spool,
      walSegmentBytes: parseSegmentSize(await connection.show("wal_segment_size", options)),
      timeoutMs: WAL_TIMEOUT_MS,
      createReceiver: () => {
        throw new LifeboatError("stack.step-failed", {
          message: `the receiver of stack ${stack.name} ended while the first backup was taken`,
          remedy: `Look at its log in ${stack.place.logs}, then run lifeboat up again.`,
          retryable: true,
        });
      },
    });
    try {
      await takeBackup(
        { vault, clock, connection, wal, outsideFiles: [], onProgress: () => undefined },
        { label: "first", checkpoint: "fast", compression: COMPRESSION, adoptSystem: false },
        options,
      );
    } finally {
      await wal.end();
    }
  } finally {
    await connection.close();
  }
}

async function applyConfiguration(
  tools: StepTools,
  component: ComponentName,
  secrets: StackSecrets,
  options: CallOptions,
): Promise<void> {
  if (component === "api") await rollApi(tools, options);
  else if (component === "mcp" || component === "scraper-scheduler") await restartAlone(tools, component, options);
  else if (component === "daemon") await restartRunning(tools, component, options);
  else if (component === "db" || component === "db_replica") {
    await withNode(nodeAddress(tools.stack, secrets, component), options, async ({ run }) => {
      await run("SELECT pg_reload_conf()");
    });
  } else if (component === "pgbouncer") {
    await reloadPoolers(tools, secrets, options);
  } else if (component === "haproxy") {
    await reloadBalancer(controlSocketOf(tools.stack), { ...options, clock: tools.clock });
  } else await tools.platform.restart(component, options);
}

async function restartRunning(
  { platform, stack }: StepTools,
  component: ComponentName,
  options: CallOptions,
): Promise<void> {
  const running = await runningComponents(platform, options);
  for (const name of instancesOf(stack, component)) if (running.has(name)) await platform.restart(name, options);
}

/**
 * Has every pooler that runs read its files again: its clients notice nothing. One that listens elsewhere is restarted, and so is one
 * that knows the console's password of before: nobody else can tell it to read the new one. Rejects with `stack.busy` rather than
 * restart one that somebody has paused.
 */
async function reloadPoolers(tools: StepTools, secrets: StackSecrets, options: CallOptions): Promise<void> {
  const { stack, platform } = tools;
  const running = await runningComponents(platform, options);
  for (const name of instancesOf(stack, "pgbouncer").filter((each) => running.has(each))) {
    const place = { host: poolerSocketFolder(stack, name), port: stack.ports.pgbouncer };
    const console = consoleOf({ ...place, password: secrets["pooler-admin"] });
    try {
      await console.run("RELOAD", { ...options, timeoutMs: COMMAND_TIMEOUT_MS });
    } catch (error) {
      if (!isLifeboatError(error, "pooler.unreachable") && !isLoginRefused(error)) throw error;
      await refuseWhilePaused(tools, stack);
      await platform.restart(name, options);
    } finally {
      await console.close();
    }
  }
}

async function writeRendered(
  { files, random, user }: Pick<StackTools, "files" | "random" | "user">,
  rendered: RenderedFile,
  options: CallOptions = {},
): Promise<void> {
  const { file } = rendered;
  const unique = random(8).toString("hex");
  const parts = [Buffer.from(rendered.text)];
  const owned = user === undefined || rendered.lies === "controller" ? files : filesOwnedBy(files, user);
  await writeDurable(owned, { file, parts, over: "replace", permissions: 0o600, unique, ...options });
}

/** What goes into the vault belongs to the user whose receiver writes there too. */
function vaultFiles({ files, user, programs }: StackTools): Files {
  return user === undefined || !programs.lifeboatAsUser ? files : filesOwnedBy(files, user);
}

function backupAddress(stack: StackDescription, secrets: StackSecrets): ConnectOptions {
  return {
    host: "127.0.0.1",
    port: nodePort(stack, stack.primary),
    user: ROLES.lifeboat,
    password: secrets.backup,
    tls: { mode: "disable" },
    applicationName: "lifeboat_backup",
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
}
