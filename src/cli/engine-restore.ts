/** What `restore` does. */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { findFreePort } from "../platform/free-port.ts";
import { findInstallation, type Installation, MAJORS } from "../postgres/installation.ts";
import { LocalServer, SOCKET_PATH_BYTES_MAX } from "../postgres/server.ts";
import { bootRestored } from "../restore/boot.ts";
import { estimateMs } from "../restore/estimate.ts";
import { checkTarget } from "../restore/layout.ts";
import { replayBytes } from "../restore/plan.ts";
import { RECOVERY_FOLDER } from "../restore/recovery-files.ts";
import { type PricedPlan, prepareRestore, type RestoreProgress, runRestore } from "../restore/restore.ts";
import type { Vault } from "../vault/vault.ts";
import { openConfiguredVault } from "./compose.ts";
import { MACHINE, serverUserOf, uniqueName } from "./engine-machine.ts";
import { chooseSystem, heldWal } from "./engine-system.ts";
import type { RestoreEngine, RestoreFacts, RestorePlanFacts } from "./restore.ts";

const PHASES: Readonly<Record<RestoreProgress["phase"], string>> = {
  files: "writing the backup's files",
  wal: "laying WAL",
  sync: "syncing",
};

/** Where a restored server listens, whatever its configuration says: nobody else's client shall find it by accident. */
const LISTENS_ON = "127.0.0.1";

/** Within the time that a command has to clean up. */
const ABORTED_STOP_TIMEOUT_MS = 10_000;

type Call = Parameters<RestoreEngine["plan"]>[0];

/** Plans and carries out restores of the configured vault. */
export const restoreEngine: RestoreEngine = {
  plan: async (call) => {
    const { config, session, choice } = call;
    const options = { signal: session.signal };
    const vault = await openConfiguredVault(call, "read");
    const systemId = await chooseSystem(vault, choice.system, options);
    const wal = await heldWal(vault, config, systemId, options);
    const onProgress = ({ phase, doneBytes, totalBytes }: RestoreProgress): void =>
      session.progress.report(
        totalBytes === 0 ? { phase: PHASES[phase] } : { phase: PHASES[phase], done: doneBytes, total: totalBytes },
      );
    const tools = { vault, files: MACHINE.files, clock: session.clock, wal, onProgress };
    const target = choice.goal.kind === "time" ? { kind: "time" as const, time: choice.goal.at } : choice.goal;
    const plan = await prepareRestore(
      tools,
      { systemId, target, backupId: choice.backupId, acceptGap: choice.acceptGap },
      options,
    );
    await checkTarget(MACHINE.files, choice.targetFolder, plan.tablespaces, choice.tablespaces);
    const facts = planFacts(plan, choice);
    return {
      facts,
      carryOut: async () => {
        const begun = session.clock.monotonic();
        // Found before anything is written: a restore that cannot be started should say so at once.
        const installation = choice.boot === undefined ? undefined : await installationFor(call, plan);
        const user = await serverUserOf(config.postgres.runAs, session.signal);
        const place = { folder: choice.targetFolder, tablespaces: choice.tablespaces, owner: user };
        await runRestore(tools, plan, place, options);
        const filesMs = session.clock.monotonic() - begun;
        const server = installation === undefined ? undefined : await boot(call, { plan, installation, vault });
        const durationMs = session.clock.monotonic() - begun;
        const writtenBytes = plan.writeBytes + plan.walBytes;
        return { plan: facts, owner: user?.name, durationMs, filesMs, writtenBytes, server };
      },
    };
  },
};

async function boot(
  call: Call,
  restored: { readonly plan: PricedPlan; readonly installation: Installation; readonly vault: Vault },
): Promise<RestoreFacts["server"]> {
  const { config, session, choice } = call;
  const user = await serverUserOf(config.postgres.runAs, session.signal);
  const port = choice.boot?.port ?? (await findFreePort(MACHINE.random));
  const { binFolder } = restored.installation;
  const server = new LocalServer(
    { files: MACHINE.files, processes: MACHINE.processes, clock: session.clock },
    {
      installation: restored.installation,
      dataFolder: choice.targetFolder,
      user,
      socketFolder: socketFolderOf(choice.targetFolder, port),
      port,
      listenAddresses: [LISTENS_ON],
      logFile: path.join(choice.targetFolder, "lifeboat-restore", "server.log"),
      superuser: { name: config.server.user, password: undefined },
    },
  );
  session.progress.report({ phase: "replaying WAL" });
  const wal = await heldWal(restored.vault, config, restored.plan.systemId, { signal: session.signal });
  const tools = { server, files: MACHINE.files, clock: session.clock, wal };
  const options = { timeoutMs: config.restore.bootTimeout, signal: session.signal };
  const reached = await bootRestored(tools, restored.plan, options).catch(async (error: unknown) => {
    if (!isLifeboatError(error, "platform.aborted")) throw error;
    await server.stop({ mode: "fast", timeoutMs: ABORTED_STOP_TIMEOUT_MS });
    throw new LifeboatError("platform.aborted", {
      message: "stopped on request while the restored server replayed WAL; that server was stopped",
      remedy: `The folder ${choice.targetFolder} is restored: start a server on it, which goes on replaying, or remove it and restore again.`,
      cause: error,
    });
  });
  const state = await server.state();
  const pid = state.kind === "stopped" ? 0 : state.pid;
  const { socketFolder } = server.setup;
  return { host: LISTENS_ON, port, pid, binFolder, socketFolder, reached, recoveryMs: reached.recoveryMs };
}

/** Inside the restored folder, which only the server's user can enter; elsewhere where that path is too long for a socket. */
function socketFolderOf(targetFolder: string, port: number): string {
  const inside = path.join(targetFolder, RECOVERY_FOLDER, "socket");
  const longest = Buffer.byteLength(path.join(inside, `.s.PGSQL.${port}.lock`));
  return longest <= SOCKET_PATH_BYTES_MAX ? inside : path.join("/tmp", `lifeboat-${uniqueName().slice(0, 8)}`);
}

async function installationFor({ config, session }: Call, plan: PricedPlan): Promise<Installation> {
  const wantedMajor = Math.trunc(plan.backup.serverVersion / 10_000);
  const major = MAJORS.find((each) => each === wantedMajor);
  const user = await serverUserOf(config.postgres.runAs, session.signal);
  const { binDir } = config.postgres;
  if (major === undefined) throw versionMismatch(wantedMajor, "none", plan);
  const wanted = binDir === undefined ? { major } : { binFolder: binDir };
  try {
    const found = await findInstallation(MACHINE, { wanted, user, unique: uniqueName(), signal: session.signal });
    if (found.major === major) return found;
    throw versionMismatch(wantedMajor, found.version, plan);
  } catch (error) {
    if (!isLifeboatError(error, "postgres.version-unsupported")) throw error;
    throw versionMismatch(wantedMajor, "another", plan, error);
  }
}

function versionMismatch(wanted: number, found: string, plan: PricedPlan, cause?: unknown): LifeboatError {
  return new LifeboatError("restore.version-mismatch", {
    message: `backup ${plan.backup.backupId} is of PostgreSQL ${wanted}, the programs found are ${found}`,
    remedy: `Name the programs of PostgreSQL ${wanted} with --postgres-bin-dir, or restore without --boot and start the server yourself.`,
    cause,
  });
}

function planFacts(plan: PricedPlan, choice: Call["choice"]): RestorePlanFacts {
  const warnings: string[] = [];
  if (plan.gapAfter !== undefined) {
    warnings.push(`WAL is missing after ${plan.segments.at(-1)?.name ?? "the backup"}: this is not the newest point`);
  }
  return {
    backupId: plan.backup.backupId,
    postgresMajor: Math.trunc(plan.backup.serverVersion / 10_000),
    targetFolder: choice.targetFolder,
    reaches: {
      timeline: plan.timeline,
      lsn: plan.endLsn,
      time: plan.target.kind === "time" ? plan.target.time : undefined,
    },
    dataBytes: plan.writeBytes,
    fetchBytes: plan.fetchBytes,
    walSegmentCount: plan.segments.length,
    walBytes: plan.walBytes,
    estimatedMs: estimateMs({ ...plan, replayBytes: replayBytes(plan) }),
    warnings,
  };
}
