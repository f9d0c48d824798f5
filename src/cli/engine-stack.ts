/** The configured stack, for the verbs that show it and run it. */
import path from "node:path";
import manifest from "../../package.json" with { type: "json" };
import type { Config } from "../config/schema.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { LocalPlatform } from "../platform/local/local-platform.ts";
import type { ProcessUser } from "../platform/processes.ts";
import { currentUid } from "../platform/run-as.ts";
import { MAJORS } from "../postgres/installation.ts";
import { daemonSocketOf } from "../stack/daemon-config.ts";
import { durabilityInUse } from "../stack/durability.ts";
import { refuseForeignOwner } from "../stack/owner.ts";
import { portsInUse } from "../stack/ports.ts";
import { findPrograms, SYSTEM_FOLDERS } from "../stack/programs.ts";
import { renderComponent, renderStack } from "../stack/render.ts";
import { readRoles, rolesInUse } from "../stack/roles.ts";
import { scaleInUse } from "../stack/scale.ts";
import { HIDDEN_SECRETS } from "../stack/secrets.ts";
import { refuseForeignSockets } from "../stack/shared-sockets.ts";
import { controllerIn, describeStack, type StackDescription } from "../stack/stack.ts";
import type { StackPlatform, StackPrograms, StackTools } from "../stack/tools.ts";
import { controlSocket } from "../witness/control.ts";
import type { RenderConfigured } from "./config-render.ts";
import { daemonConfigOf } from "./daemon-config.ts";
import { MACHINE, serverUserOf, uniqueName } from "./engine-machine.ts";
import { programPaths } from "./program-paths.ts";
import type { Session } from "./verb.ts";

/** Until it is scaled: one may be restarted while another one is lost. */
const API_INSTANCES = 3;

/** The stack of the configuration, with the ports that it says; nothing is looked at. */
export function describedStack(config: Config): StackDescription {
  const { stack, folders, postgres } = config;
  return describeStack({
    name: stack.name,
    stacksFolder: path.join(folders.state, "stacks"),
    ports: {
      front: stack.frontPort,
      mcp: stack.mcpPort,
      pgbouncer: stack.poolerPort,
      db: stack.dbPort,
      dbReplica: stack.replicaPort,
      reads: stack.readPort,
      redis: stack.redisPort,
    },
    major: MAJORS.find((major) => String(major) === stack.postgresMajor) ?? MAJORS[1],
    binDir: postgres.binDir,
    database: stack.database,
    applicationRole: stack.applicationRole,
    durability: stack.durability,
    // Recorded where it is more: see scale.ts.
    poolers: 1,
    release: manifest.version,
    service: stack.service === "on",
    feeds: stack.feeds,
    apis: API_INSTANCES,
    api: stack.api ?? [],
    trustedProxies: stack.trustedProxies ?? [],
    privateWebhooks: stack.privateWebhooks === "on",
    maxConnections: stack.maxConnections,
    sharedBuffers: stack.sharedBuffers,
    slotWalMax: stack.slotWalMax,
    cacheMemoryMax: stack.cacheMemoryMax,
    cachePolicy: stack.cachePolicy,
    daemon: stack.daemon === "on",
    daemonConfig: daemonConfigOf(config),
  });
}

/** The configured stack with the ports, the programs and the primary that it has: the recorded ones, where some were. */
export async function describedPlace(config: Config): Promise<StackDescription> {
  const stack = describedStack(config);
  await checkPlace(stack);
  const placed = await scaleInUse(MACHINE.files, await portsInUse(MACHINE.files, stack));
  return await rolesInUse(MACHINE.files, placed);
}

/** Records that may be damaged. What they say is what a start goes by, and nothing is needed of them to end what runs. */
const DAMAGED: ReadonlySet<ErrorCode> = new Set(["stack.record-damaged", "lease.record-damaged"]);

/**
 * The same for what must be possible whatever is damaged: taking a stack down, running a command in it and reading its logs. A record that
 * cannot be read is told, and what is configured stands for it. Looks at nothing else.
 */
export async function placeAnyway(config: Config, { notice }: Pick<Session, "notice">): Promise<StackDescription> {
  let stack = describedStack(config);
  for (const read of [portsInUse, scaleInUse, rolesInUse]) {
    try {
      stack = await read(MACHINE.files, stack);
    } catch (error) {
      if (!isLifeboatError(error) || !DAMAGED.has(error.code)) throw error;
      notice(`warning: ${error.message}. ${error.remedy}`);
    }
  }
  return stack;
}

/**
 * Rejects with `stack.owned-by-another`, and with `platform.folder-foreign` where whoever listens for the stack's programs may be
 * anybody.
 */
export async function checkPlace(stack: StackDescription): Promise<void> {
  const { place } = stack;
  await refuseForeignOwner(MACHINE.files, stack, currentUid());
  const sockets = [path.dirname(daemonSocketOf(stack)), path.dirname(controlSocket(place.spool))];
  await refuseForeignSockets(MACHINE.files, place, [place.sockets, ...sockets]);
}

/** The same with the durability that was chosen since it was configured. */
export async function configuredStack(config: Config): Promise<StackDescription> {
  return await durabilityInUse(MACHINE.files, await describedPlace(config));
}

/** Whether a configuration is the one that a stack writes for commands about it: its state is the stack's folder. */
export async function isOfStack({ folders }: Config): Promise<boolean> {
  return (await MACHINE.files.stat(path.join(folders.state, "supervisor"))) !== undefined;
}

/** Whether a person paused failover of the stack that a configuration is of. Rejects with `lease.record-damaged`. */
export async function isFailoverPaused({ folders }: Config): Promise<boolean> {
  return (await readRoles(MACHINE.files, controllerIn(folders.state)))?.maintenance === true;
}

/** What runs the programs of a stack on this machine. */
export function platformOf({ place }: StackDescription, { clock }: Session): LocalPlatform {
  const { node, nodeArguments, supervisor } = programPaths();
  const command = { command: node, args: [...nodeArguments, supervisor] };
  return new LocalPlatform({ ...MACHINE, clock }, { folder: place.supervisor, supervisor: command });
}

/** A call of a verb about the stack. */
export type StackCall = { readonly config: Config; readonly session: Session };

/** What bringing a stack up needs. Rejects with `stack.program-missing`, and as `findInstallation` and `findServerUser`. */
export async function stackTools(
  call: StackCall,
  stack: StackDescription,
  platform: StackPlatform,
): Promise<StackTools> {
  const { config, session } = call;
  const { signal, clock } = session;
  const user = await serverUserOf(config.postgres.runAs, signal);
  return { ...MACHINE, clock, platform, user, programs: await stackPrograms(call, stack, user) };
}

/** The programs of a stack, tried as the user that runs them. Rejects as `stackTools`. */
export async function stackPrograms(
  { config, session }: StackCall,
  stack: StackDescription,
  user: ProcessUser | undefined,
): Promise<StackPrograms> {
  const paths = programPaths();
  const lifeboat = { command: paths.node, args: [...paths.nodeArguments, paths.cli] };
  const { programsDir } = config.stack;
  const folders = programsDir === undefined ? SYSTEM_FOLDERS : [programsDir, ...SYSTEM_FOLDERS];
  const service = { command: paths.node, args: paths.nodeArguments, ...paths.service };
  const request = { user, folders, lifeboat, service, unique: uniqueName() };
  return await findPrograms(MACHINE, stack, request, { signal: session.signal });
}

/** Renders the configured stack's files with stars for secrets. */
export const renderConfigured: RenderConfigured = async ({ config, component }) => {
  const stack = await configuredStack(config);
  return component === undefined
    ? renderStack(stack, HIDDEN_SECRETS)
    : renderComponent(stack, HIDDEN_SECRETS, component);
};
