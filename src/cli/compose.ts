/**
 * Builds the engines of the verbs from the configuration and the machine's ports.
 *
 * Invariant: everything heavy is imported when a verb runs, never at start: a command line is answered in a tenth of a
 * second, and `wal get` is called for every segment of a recovery.
 */
import type { Config } from "../config/schema.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import type { Vault } from "../vault/vault.ts";
import type { TakeConfiguredBackup } from "./backup.ts";
import type { ListConfiguredBackups } from "./backups.ts";
import type { RenderConfigured } from "./config-render.ts";
import type { RunDaemon } from "./daemon.ts";
import type { RunDemo } from "./demo.ts";
import type { Diagnose } from "./doctor.ts";
import type { TakeDown } from "./down.ts";
import type { DurabilityEngine } from "./durability.ts";
import type { ExecConfigured } from "./exec.ts";
import type { FailoverEngine } from "./failover.ts";
import type { HoldEngine } from "./hold.ts";
import type { ReadLogs } from "./logs.ts";
import type { FindPoints } from "./points.ts";
import type { PoolerEngine } from "./pooler.ts";
import type { ProbeEngine } from "./probe.ts";
import type { PruneConfiguredVault } from "./prune.ts";
import type { LookAtStack } from "./ps.ts";
import type { WatchReplication } from "./replication.ts";
import type { RestartConfigured } from "./restart.ts";
import type { RestoreEngine } from "./restore.ts";
import type { ScaleConfigured } from "./scale.ts";
import type { LookAtStatus } from "./status.ts";
import type { UpEngine } from "./up.ts";
import type { CheckConfiguredVault, MakeVault } from "./vault.ts";
import type { KeyEngine } from "./vault-key.ts";
import type { RepairConfiguredVault } from "./vault-repair.ts";
import type { Session } from "./verb.ts";
import type { VerifyConfigured } from "./verify.ts";
import type { GetWal, LookAtWal, ReceiveWal } from "./wal.ts";
import type { FeedRecovery } from "./wal-feed.ts";

type Call = { readonly config: Config; readonly session: Session };

/** Makes the configured vault. */
export const makeVault: MakeVault = async ({ config, session }) => {
  const [{ initVault }, { refuseOtherFiles }, { MACHINE }] = await Promise.all([
    import("../vault/vault.ts"),
    import("./engine-vault.ts"),
    import("./engine-machine.ts"),
  ]);
  await refuseOtherFiles(config.vault.path);
  const secret = await vaultSecret({ config, session }, "new");
  if (secret.kind === "identity") throw await identityMakesNone();
  const tools = await vaultTools({ config, session }, "write");
  const { files } = MACHINE;
  const { vault, recoveryKey } = await initVault({ ...tools, files }, secret, { signal: session.signal });
  return { vaultId: vault.id, store: vault.store.name, recoveryKey };
};

/** Checks the configured vault. */
export const checkConfiguredVault: CheckConfiguredVault = async ({ config, session, readData }) => {
  const [{ checkVault }, { tellingUnread }, { vaultGaps }, { MACHINE }] = await Promise.all([
    import("../vault/check.ts"),
    import("../vault/unread.ts"),
    import("../wal/vault-gaps.ts"),
    import("./engine-machine.ts"),
  ]);
  const options = { signal: session.signal };
  const vault = tellingUnread(await openConfiguredVault({ config, session }, "read"));
  const onProgress = (progress: { readonly doneBytes: number; readonly totalBytes: number }) =>
    session.progress.report({ phase: "checking the vault", done: progress.doneBytes, total: progress.totalBytes });
  const report = await checkVault(vault, { readData, onProgress, ...options });
  const { outOfReach, between } = await vaultGaps({ vault, files: MACHINE.files }, options);
  const lost = outOfReach.map(({ finding }) => finding);
  return { ...report, findings: [...report.findings, ...lost], gaps: between };
};

/** Repairs the configured vault. */
export const repairConfiguredVault: RepairConfiguredVault = async (call) =>
  (await import("./engine-repair.ts")).repairConfiguredVault(call);

/** Lists the backups of the configured vault. */
export const listConfiguredBackups: ListConfiguredBackups = async (call) => {
  const [{ listBackups }, { listProofs }, { standings }] = await Promise.all([
    import("../vault/backups.ts"),
    import("../vault/proofs.ts"),
    import("../proof/decide.ts"),
  ]);
  const options = { signal: call.session.signal };
  const vault = await openConfiguredVault(call, "read");
  const listing = await listBackups(vault, {}, options);
  return { ...listing, standings: standings(await listProofs(vault, {}, options)) };
};

/** Lists and changes the keys of the configured vault. */
export const keyEngine: KeyEngine = {
  list: async (call) => (await import("./engine-vault-key.ts")).keyEngine.list(call),
  add: async (call) => (await import("./engine-vault-key.ts")).keyEngine.add(call),
  remove: async (call) => (await import("./engine-vault-key.ts")).keyEngine.remove(call),
  rewrap: async (call) => (await import("./engine-vault-key.ts")).keyEngine.rewrap(call),
  rotate: async (call) => (await import("./engine-vault-key.ts")).keyEngine.rotate(call),
};

/** Looks at the configured server and this machine. */
export const diagnoseConfigured: Diagnose = async (call) =>
  (await import("./engine-doctor.ts")).diagnoseConfigured(call);

/** Looks at vault, receiver and server. */
export const lookAtStatus: LookAtStatus = async (call) => (await import("./engine-status.ts")).lookAtStatus(call);

/** Takes a backup of the configured server. */
export const takeConfiguredBackup: TakeConfiguredBackup = async (call) => {
  const { vault } = await beginOpeningVault(call, "write");
  const { takeConfiguredBackup: take } = await import("./engine-backup.ts");
  return take({ ...call, vault });
};

/** Finds what can be restored. */
export const findPoints: FindPoints = async (call) => (await import("./engine-wal.ts")).findPoints(call);

/** Receives WAL until stopped. */
export const receiveWal: ReceiveWal = async (call) => (await import("./engine-wal.ts")).receiveWal(call);

/** Looks at receiver, spool and server. */
export const lookAtWal: LookAtWal = async (call) => (await import("./engine-wal.ts")).lookAtWal(call);

/** Puts one file of WAL where PostgreSQL asked for it. */
export const getWal: GetWal = async (call) => (await import("./engine-wal.ts")).getWal(call);

/** Feeds a recovery until it has ended. */
export const feedRecovery: FeedRecovery = async (call) => (await import("./engine-wal.ts")).feedRecovery(call);

/** Looks at poolers, resumes and watches them. */
export const poolerEngine: PoolerEngine = {
  look: async (call) => (await import("./engine-pooler.ts")).poolerEngine.look(call),
  resume: async (call) => (await import("./engine-pooler.ts")).poolerEngine.resume(call),
  watch: async (call) => (await import("./engine-pooler.ts")).poolerEngine.watch(call),
};

/** Prunes the configured vault. */
export const pruneConfiguredVault: PruneConfiguredVault = async (call) =>
  (await import("./engine-prune.ts")).pruneConfiguredVault(call);

/** Holds and releases backups. */
export const holdEngine: HoldEngine = {
  hold: async (call) => (await import("./engine-prune.ts")).holdEngine.hold(call),
  release: async (call) => (await import("./engine-prune.ts")).holdEngine.release(call),
};

/** Plans and carries out restores. */
export const restoreEngine: RestoreEngine = {
  plan: async (call) => {
    const { vault } = await beginOpeningVault(call, "read");
    const { planConfiguredRestore } = await import("./engine-restore.ts");
    return planConfiguredRestore(call, vault);
  },
};

/** Proves backups of the configured vault. */
export const verifyConfigured: VerifyConfigured = async (call) =>
  (await import("./engine-verify.ts")).verifyConfigured(call);

/** Renders the configuration of the stack's programs. */
export const renderConfigured: RenderConfigured = async (call) =>
  (await import("./engine-stack.ts")).renderConfigured(call);

/** Measures from outside. */
export const probeEngine: ProbeEngine = {
  run: async (call) => (await import("./engine-probe.ts")).probeEngine.run(call),
  readBack: async (call) => (await import("./engine-probe.ts")).probeEngine.readBack(call),
};

/** Brings the configured stack up. */
export const upEngine: UpEngine = {
  plan: async (call) => (await import("./engine-stack-run.ts")).upEngine.plan(call),
  run: async (call) => (await import("./engine-stack-run.ts")).upEngine.run(call),
};

/** Takes the configured stack down. */
export const takeDown: TakeDown = async (call) => (await import("./engine-stack-run.ts")).takeDown(call);

/** Looks at the configured stack. */
export const lookAtStack: LookAtStack = async (call) => (await import("./engine-stack-run.ts")).lookAtStack(call);

/** Reads the logs of the configured stack. */
export const readLogs: ReadLogs = async (call) => (await import("./engine-stack-run.ts")).readLogs(call);

/** Restarts a component of the configured stack. */
export const restartConfigured: RestartConfigured = async (call) =>
  (await import("./engine-stack-run.ts")).restartConfigured(call);

/** Runs a command beside a component of the configured stack. */
export const execConfigured: ExecConfigured = async (call) =>
  (await import("./engine-stack-run.ts")).execConfigured(call);

/** Scales a component of the configured stack. */
export const scaleConfigured: ScaleConfigured = async (call) =>
  (await import("./engine-stack-run.ts")).scaleConfigured(call);
/** Looks at the stack's durability and changes it. */
export const durabilityEngine: DurabilityEngine = {
  look: async (call) => (await import("./engine-durability.ts")).durabilityEngine.look(call),
  plan: async (call) => (await import("./engine-durability.ts")).durabilityEngine.plan(call),
  change: async (call) => (await import("./engine-durability.ts")).durabilityEngine.change(call),
};

/** Watches the replication of the stack. */
export const watchReplication: WatchReplication = async (call) =>
  (await import("./engine-replication.ts")).watchReplication(call);

/** Looks at the primary role, and moves it. */
export const failoverEngine: FailoverEngine = {
  check: async (call) => (await import("./engine-failover.ts")).failoverEngine.check(call),
  promote: async (call) => (await import("./engine-failover.ts")).failoverEngine.promote(call),
  adopt: async (call) => (await import("./engine-failover.ts")).failoverEngine.adopt(call),
  switchover: async (call) => (await import("./engine-failover.ts")).failoverEngine.switchover(call),
  rebuild: async (call) => (await import("./engine-failover.ts")).failoverEngine.rebuild(call),
  putBack: async (call) => (await import("./engine-put-back.ts")).putBackConfigured(call),
  setMaintenance: async (call) => (await import("./engine-failover.ts")).failoverEngine.setMaintenance(call),
};

/** Runs the stack's daemon. */
export const runDaemon: RunDaemon = async (call) => (await import("./engine-failover.ts")).runDaemon(call);

/** Runs the demo. */
export const runDemo: RunDemo = async (call) => (await import("./engine-demo.ts")).runDemo(call);

/** Opens the configured vault, asking for its passphrase where none is configured. */
export async function openConfiguredVault(call: Call, access: "read" | "write"): Promise<Vault> {
  return (await beginOpeningVault(call, access)).vault;
}

/** As `openConfiguredVault`, but resolves while the passphrase is being stretched: time to load what comes next. */
async function beginOpeningVault(call: Call, access: "read" | "write"): Promise<{ readonly vault: Promise<Vault> }> {
  const [{ beginOpening }, { explainNoVault }] = await Promise.all([
    import("../vault/vault.ts"),
    import("./engine-vault.ts"),
  ]);
  // The store first: nobody should type a passphrase to learn that the folder is not there. For reading first: to open
  // one for writing makes its folder, and a vault whose disk is not mounted must not begin anew in the mount point.
  const readOnly = await vaultTools(call, "read").catch(explainNoVault(call.config.vault.path));
  const tools = access === "read" ? readOnly : await vaultTools(call, access);
  return beginOpening(tools, await vaultSecret(call, "known"), { signal: call.session.signal });
}

/** How to reach the configured server; `applicationName` is what the server calls the connection. */
export async function serverConnection(call: Call, applicationName: string): Promise<ConnectOptions> {
  const [{ readServerPassword }, { tlsOf }] = await Promise.all([
    import("../config/secrets.ts"),
    import("../config/server-address.ts"),
  ]);
  const { server } = call.config;
  return {
    host: server.host,
    port: server.port,
    user: server.user,
    password: await readServerPassword(server, await secretTools(call, "known")),
    database: server.database,
    tls: tlsOf(server),
    applicationName,
    connectTimeoutMs: server.connectTimeout,
  };
}

async function identityMakesNone() {
  const { LifeboatError } = await import("../errors/error.ts");
  return new LifeboatError("vault.age-unusable", {
    message: "a vault is made with a passphrase, and vault.identityFile is set",
    remedy: "Make it with a passphrase, then add the recipient: lifeboat vault key add --age.",
  });
}

/** The store of the configured vault, and what else a vault needs. */
export async function vaultTools(call: Call, access: "read" | "write") {
  const [{ openDiskStore }, { systemFiles }, { systemRandom }, { filesOfFolder }, { currentUid }] = await Promise.all([
    import("../store/disk/disk-store.ts"),
    import("../platform/files.ts"),
    import("../platform/random.ts"),
    import("../platform/owned-files.ts"),
    import("../platform/run-as.ts"),
  ]);
  const { clock } = call.session;
  const folder = call.config.vault.path;
  // A receiver that runs as somebody else must be able to work with what root stores beside it.
  const files = await filesOfFolder(systemFiles, folder, currentUid());
  const store = await openDiskStore({ files, random: systemRandom, clock, folder, access });
  return { store, clock, random: systemRandom };
}

/** The configured secret; `new` asks for it twice. An age identity makes no vault: it opens one. */
export async function vaultSecret(call: Call, age: "new" | "known") {
  const { readVaultSecret } = await import("../config/secrets.ts");
  return readVaultSecret(call.config.vault, await secretTools(call, age));
}

/** What reading secrets needs; `new` asks for one twice. */
export async function secretTools({ session }: Call, age: "new" | "known") {
  const [{ systemFiles }, { systemProcesses }] = await Promise.all([
    import("../platform/files.ts"),
    import("../platform/processes.ts"),
  ]);
  const { prompt } = session;
  const ask = (question: string) => (age === "new" ? prompt?.newSecret(question) : prompt?.secret(question));
  return {
    files: systemFiles,
    processes: systemProcesses,
    prompt: prompt === undefined ? undefined : async (question: string) => (await ask(question)) ?? "",
    warn: (message: string) => session.notice(`warning: ${message}`),
    signal: session.signal,
  };
}
