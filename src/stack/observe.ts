/** Looks at a stack: folders, files, data, vault, programs, and what the primary says. Changes nothing. */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { parseDatabases } from "../pooler/databases-file.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { listBackups } from "../vault/backups.ts";
import { readVaultIds } from "../vault/marker.ts";
import { VAULT_MARKER, VAULT_MARKER_COPY } from "../vault/names.ts";
import { openVault, type Vault } from "../vault/vault.ts";
import { readSpoolState } from "../wal/spool-state.ts";
import { otherApplication } from "./application-role.ts";
import { COMPONENT_NAMES, type ComponentName } from "./component-names.ts";
import { allRun, componentOf, instancesOf } from "./instances.ts";
import { askPrimary, nodeDataOf } from "./nodes.ts";
import { planDown, type StackFacts } from "./plan.ts";
import { databasesFileOf } from "./pooler-config.ts";
import { askPooler } from "./prove.ts";
import { type RenderedFile, renderStack } from "./render.ts";
import { missingSecrets, readSecrets, SECRET_NAMES, type StackSecrets, unreadableSecrets } from "./secrets.ts";
import { awaitsSchema } from "./service.ts";
import { componentsOf, replicaOf, type StackDescription, type StackPlace } from "./stack.ts";
import { type CallOptions, runningComponents, type StackTools, standingComponents } from "./tools.ts";
import { unreadComponents } from "./unread.ts";

/** What looking needs. */
export type LookTools = Pick<StackTools, "files" | "clock" | "random" | "platform">;

/** Looks. Rejects with `stack.secret-unusable`, with `stack.login-refused`, and with what a vault that cannot be opened rejects with. */
export async function observeStack(
  tools: LookTools,
  stack: StackDescription,
  options: CallOptions,
): Promise<StackFacts> {
  const { files } = tools;
  const { place } = stack;
  const missing = (await files.stat(place.secrets)) === undefined ? SECRET_NAMES : await missingSecrets(files, place);
  const canRead = missing.length === 0 || (await unreadableSecrets(files, place)).length === 0;
  const secrets = canRead ? await readSecrets(files, place) : undefined;
  const alive = await runningComponents(tools.platform, options);
  const running = new Set(COMPONENT_NAMES.filter((name) => allRun(stack, name, alive)));
  const governed = instancesOf(stack, "daemon").some((name) => alive.has(name));
  const primary =
    secrets === undefined || !running.has(stack.primary) ? undefined : await askPrimary(stack, secrets, options);
  return {
    folders: await hasFolders(files, place),
    secretsMissing: missing.length,
    configStale: secrets === undefined ? componentsOf(stack) : await staleConfig(tools, stack, secrets),
    roles: stack,
    wantsDaemon: stack.daemon,
    wantsService: stack.service,
    db: await nodeDataOf(files, place.dataOf(stack.primary)),
    replica: await nodeDataOf(files, place.dataOf(replicaOf(stack))),
    vault: await lookAtVault(tools, stack, secrets, options),
    replacedVault: await replacedVault(tools, stack, options),
    running,
    undescribed: await undescribedPrograms(tools.platform, stack, options),
    apiAwaitsSchema: stack.service && (await anyAwaitsSchema(stack, alive, options)),
    otherDatabase: await otherDatabase(files, stack, governed),
    otherApplication: await otherApplication(files, stack, primary),
    governed,
    primary,
    // They serve nobody where there is no primary, or nobody knows which node is.
    poolersServe:
      primary === undefined || stack.recorded === "unsettled" || secrets === undefined || !running.has("pgbouncer")
        ? undefined
        : await poolersServe(stack, secrets, options),
  };
}

/** What the poolers lead to in place of the described database, where that stays so: once a controller has acted, or while one runs. */
async function otherDatabase(files: Files, stack: StackDescription, governed: boolean): Promise<string | undefined> {
  const file = databasesFileOf(stack);
  if ((await files.stat(file)) === undefined) return undefined;
  const there = parseDatabases((await files.readFile(file)).toString("utf8"));
  if (there === undefined || (there.epoch === 0 && !governed)) return undefined;
  const names = there.databases.map(({ name }) => name);
  return names.includes(stack.database) ? undefined : names[0];
}

/** Programs of components that the stack is to do without, in the order in which they are stopped. */
export async function undescribedPrograms(
  platform: LookTools["platform"],
  stack: StackDescription,
  options: CallOptions,
): Promise<readonly string[]> {
  const described = new Set(componentsOf(stack));
  return planDown(await standingComponents(platform, options)).filter((name) => {
    const component = componentOf(name);
    return component !== undefined && !described.has(component);
  });
}

async function poolersServe(stack: StackDescription, secrets: StackSecrets, options: CallOptions): Promise<boolean> {
  try {
    for (const instance of instancesOf(stack, "pgbouncer")) await askPooler(stack, secrets, { ...options, instance });
    return true;
  } catch (error) {
    if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error)) throw error;
    return false;
  }
}

async function anyAwaitsSchema(
  stack: StackDescription,
  alive: ReadonlySet<string>,
  options: CallOptions,
): Promise<boolean> {
  const instances = instancesOf(stack, "api").filter((name) => alive.has(name));
  const answers = await Promise.all(instances.map((name) => awaitsSchema(stack, name, options)));
  return answers.includes(true);
}

/** Whether the folders are there. That of the sockets may lie apart, and goes with the stack or with the machine's memory. */
export async function hasFolders(files: Files, { secrets, sockets }: StackPlace): Promise<boolean> {
  return (await files.stat(secrets)) !== undefined && (await files.stat(sockets)) !== undefined;
}

/** Whether a file on disk is as rendered. */
export async function isAsRendered({ files }: Pick<LookTools, "files">, wanted: RenderedFile): Promise<boolean> {
  if ((await files.stat(wanted.file)) === undefined) return false;
  const there = (await files.readFile(wanted.file)).toString("utf8");
  return there === wanted.text || wanted.isKept?.(there) === true;
}

/** The stack's vault. Rejects as `openVault` does. */
export async function openStackVault(
  tools: Pick<LookTools, "files" | "clock" | "random">,
  stack: StackDescription,
  secrets: StackSecrets,
  options: CallOptions & { readonly access: "read" | "write" },
): Promise<Vault> {
  const { files, random, clock } = tools;
  const store = await openDiskStore({ files, random, clock, folder: stack.place.vault, access: options.access });
  return openVault({ store, clock, random }, { kind: "passphrase", passphrase: secrets["vault-passphrase"] }, options);
}

/** Components whose files are not as described or not there, or were written and may not have been read. */
export async function staleConfig(
  tools: Omit<LookTools, "platform">,
  stack: StackDescription,
  secrets: StackSecrets,
): Promise<readonly ComponentName[]> {
  const stale = new Set<ComponentName>(await unreadComponents(tools.files, stack));
  for (const rendered of renderStack(stack, secrets)) {
    // The files of a node that has no data yet are written with it.
    if (
      rendered.lies === "data" &&
      (await nodeDataOf(tools.files, stack.place.dataOf(rendered.component))) === "absent"
    ) {
      continue;
    }
    if (!(await isAsRendered(tools, rendered))) stale.add(rendered.component);
  }
  return [...stale];
}

/** The vault that the stack's receiver has worked with, where another one or none lies in its place now. */
export async function replacedVault(
  tools: Pick<LookTools, "files" | "clock" | "random">,
  { place }: StackDescription,
  options: CallOptions,
): Promise<string | undefined> {
  const there = await vaultIdsIn(tools, place.vault, options);
  try {
    const state = await readSpoolState(tools.files, place.spool);
    return state === undefined || there.includes(state.vaultId) ? undefined : state.vaultId;
  } catch (error) {
    // With a vault there, only the receiver needs to know, and says so itself. Without one, nobody knows whether there was none.
    if (isLifeboatError(error, "wal.spool-damaged") && there.length > 0) return undefined;
    throw error;
  }
}

async function vaultIdsIn(
  { files, random, clock }: Pick<LookTools, "files" | "clock" | "random">,
  folder: string,
  options: CallOptions,
): Promise<readonly string[]> {
  try {
    return await readVaultIds(await openDiskStore({ files, random, clock, folder, access: "read" }), options);
  } catch (error) {
    if (isLifeboatError(error, "vault.not-a-vault") || isLifeboatError(error, "store.not-a-store")) return [];
    throw error;
  }
}

/** Whether a folder has what makes a vault, or its copy. */
export async function hasMarker(files: Pick<Files, "stat">, folder: string): Promise<boolean> {
  const found = [VAULT_MARKER, VAULT_MARKER_COPY].map((name) => files.stat(path.join(folder, name)));
  return (await Promise.all(found)).some((facts) => facts !== undefined);
}

/** What the vault has; without secrets only whether there is one. Rejects as `openVault` does. */
export async function lookAtVault(
  tools: Omit<LookTools, "platform">,
  stack: StackDescription,
  secrets: StackSecrets | undefined,
  options: CallOptions,
): Promise<StackFacts["vault"]> {
  const { vault: folder } = stack.place;
  if ((await tools.files.stat(folder)) === undefined) return "absent";
  // What was not looked at may hold all there is.
  if (secrets === undefined) {
    return (await hasMarker(tools.files, folder)) ? "unread" : "absent";
  }
  try {
    const vault = await openStackVault(tools, stack, secrets, { ...options, access: "read" });
    return (await listBackups(vault, {}, options)).backups.length > 0 ? "has-backup" : "no-backup";
  } catch (error) {
    // A start-up that was cut short before the vault's marker: it has nothing yet.
    if (isLifeboatError(error, "vault.not-a-vault") || isLifeboatError(error, "store.not-a-store")) return "absent";
    throw error;
  }
}
