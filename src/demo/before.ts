/**
 * The first half of the demo's story: a server with data, a vault with its receiver, a client that writes, a backup taken
 * meanwhile, and a mistake.
 */
import { takeBackup } from "../backup/backup.ts";
import { captureOutsideFiles } from "../backup/outside-files.ts";
import type { Monotonic } from "../platform/clock.ts";
import { writeDurable } from "../platform/durable.ts";
import type { SystemId } from "../postgres/lsn.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import type { LocalServer } from "../postgres/server.ts";
import { ProbeProcess } from "../probe/process.ts";
import { makeWriteTable } from "../probe/write-table.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { initVault } from "../vault/vault.ts";
import { ReceivedCoverage } from "../wal/coverage.ts";
import { parseSegmentSize } from "../wal/segment-size.ts";
import { type LoadResult, loadCatalog } from "./catalog-data/catalog-data.ts";
import { DELETED_TABLE, type Deletion, deleteByMistake } from "./deletion.ts";
import type { Scene } from "./disaster.ts";
import type { DemoBackupFacts } from "./facts.ts";
import { writeConfiguration } from "./keep.ts";
import { ReceiverProcess, STANDBY_NAME } from "./receiver.ts";
import { openDemoVault } from "./restoring.ts";
import { DATABASE, LIFEBOAT_ROLE, setSynchronousStandbys, startPrimary } from "./servers.ts";
import { bytesDone, count, MOMENT_MS, type Stage, timeOf } from "./stage.ts";

/** Enough writes a second that a second of loss shows, few enough that two cores do other things as well. */
const CLIENT_RATE_PER_SECOND = 100;
const CLIENT_LANES = 8;
const CLIENT_QUEUE_DEADLINE_MS = 1_000;
/** A synced commit during a checkpoint on a slow disk takes seconds. */
const CLIENT_ANSWER_DEADLINE_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** A vault that gets nothing new for so long while the backup waits for WAL is not going to. */
const WAL_TIMEOUT_MS = 120_000;
/** What `lifeboat backup` does by default. */
const COMPRESSION = { level: 2 };

/** Makes the server and fills it. */
export async function makeServer(
  stage: Stage,
): Promise<{ readonly server: LocalServer; readonly systemId: SystemId; readonly loaded: LoadResult }> {
  const { kit, tools, choice, signal, say } = stage;
  const runBy = kit.user === undefined ? "" : `, run by the user ${kit.user.name}`;
  say(`PostgreSQL ${kit.installation.version}${runBy}; all of this demo lies in ${stage.place.folder}`);
  say(`Ctrl-C ends it at any time${choice.keep ? "" : " and leaves nothing behind"}`);
  tools.progress({ phase: "making a server" });
  const { server, systemId } = await startPrimary(kit, { made: stage.made, signal });
  say(`the server is up on port ${server.setup.port}, with data checksums`);
  const connect = server.address({ database: DATABASE });
  const loaded = await loadCatalog({
    connect,
    targetBytes: choice.sizeBytes,
    signal,
    progress: ({ phase, fraction }) =>
      tools.progress(
        phase === "products" || phase === "prices"
          ? { phase: `filling the database ${DATABASE}`, done: fraction * choice.sizeBytes, total: choice.sizeBytes }
          : { phase: phase === "indexes" ? "building indexes" : "gathering statistics" },
      ),
  });
  await makeWriteTable(connect, { signal });
  const { productCount, priceCount, sizeBytes } = loaded;
  say(
    `the database ${DATABASE} is filled: ${count(productCount)} products, ${count(priceCount)} prices, ${describeByteSize(sizeBytes)}`,
  );
  return { server, systemId, loaded };
}

/** Makes the vault and starts the receiver; from here on, in quorum mode, a commit waits for it. */
export async function protect(stage: Stage, server: LocalServer): Promise<ReceiverProcess> {
  const { tools, kit, place, passphrase, choice, settings, signal, say } = stage;
  const { files, random, clock } = tools;
  await writeSecret(stage, place.passphraseFile, passphrase);
  await writeSecret(stage, place.passwordFile, kit.password);
  const store = await openDiskStore({ files, random, clock, folder: place.vault, access: "write" });
  await initVault({ store, clock, random, files }, { kind: "passphrase", passphrase }, { signal });
  await writeConfiguration(kit, { port: server.setup.port, receiverDelayMs: settings.receiverDelayMs });
  const { configFile, folder, receiverLog: logFile } = place;
  const receiver = await ReceiverProcess.start(tools, { program: tools.program, configFile, folder, logFile });
  stage.scope.defer(() => receiver.kill());
  await receiver.untilStandby(server, "async", { signal });
  if (choice.durability === "quorum") {
    await setSynchronousStandbys(kit, server, `ANY 1 (${STANDBY_NAME})`);
    await receiver.untilStandby(server, "quorum", { signal });
    say(
      `an encrypted vault is made; every commit now waits for its receiver (process ${receiver.pid}): ANY 1 (${STANDBY_NAME})`,
    );
  } else {
    const late =
      settings.receiverDelayMs === 0 ? "" : ` and is ${describeDuration(settings.receiverDelayMs)} late on purpose`;
    say(
      `an encrypted vault is made; commits do not wait for its receiver (process ${receiver.pid}), which streams${late}`,
    );
  }
  return receiver;
}

/** Starts the client in its own process and lets it write for a moment. */
export async function startClient(stage: Stage, server: LocalServer): Promise<ProbeProcess> {
  const { tools, place, kit, scope, signal, say } = stage;
  const connect = {
    ...server.address({ database: DATABASE, over: "tcp", password: kit.password }),
    applicationName: "lifeboat_probe",
    connectTimeoutMs: CLIENT_QUEUE_DEADLINE_MS,
  };
  const client = await ProbeProcess.start(tools.processes, {
    node: tools.program.node,
    entry: tools.program.probe,
    ledgerFile: place.ledgerFile,
    probe: {
      connect,
      clientId: tools.random(16).toString("hex"),
      writesPerSecond: CLIENT_RATE_PER_SECOND,
      readsPerSecond: 0,
      laneCount: CLIENT_LANES,
      queueDeadlineMs: CLIENT_QUEUE_DEADLINE_MS,
      answerDeadlineMs: CLIENT_ANSWER_DEADLINE_MS,
    },
    signal,
  });
  scope.defer(() => client.kill());
  say(
    `a client (process ${client.pid}) writes ${CLIENT_RATE_PER_SECOND} rows a second and syncs a ledger of what was acknowledged`,
  );
  await tools.clock.sleep(MOMENT_MS, { signal });
  return client;
}

/** Takes the backup while the client writes. */
export async function backUp(stage: Stage, scene: Scene): Promise<DemoBackupFacts> {
  const { signal, say } = stage;
  const earlier = await scene.client.status({ signal });
  const record = await takeDemoBackup(stage, scene);
  const later = await scene.client.status({ signal });
  const { backupId, dataBytes, storedBytes, durationMs } = record;
  const acknowledgedMeanwhile = later.writes.okCount - earlier.writes.okCount;
  say(
    `a backup is in the vault: ${describeByteSize(dataBytes)}, stored in ${describeByteSize(storedBytes)}, in ${describeDuration(durationMs)}; meanwhile ${count(acknowledgedMeanwhile)} writes were acknowledged`,
  );
  return { backupId, dataBytes, storedBytes, durationMs, acknowledgedMeanwhile };
}

/** Takes it as `lifeboat backup` does. */
async function takeDemoBackup(stage: Stage, scene: Scene): Promise<BackupRecord> {
  const { tools, place, kit, passphrase, signal } = stage;
  const { clock, files, locks } = tools;
  const vault = await openDemoVault(kit, passphrase, "write", { signal });
  const address = lifeboatAddress(stage, scene.server);
  const outsideFiles = await captureOutsideFiles(address, { signal, warn: tools.notice });
  const connection = await openReplication(address, { signal });
  try {
    const wal = new ReceivedCoverage({
      vault,
      clock,
      files,
      locks,
      spoolFolder: place.spool,
      walSegmentBytes: parseSegmentSize(await connection.show("wal_segment_size", { signal })),
      timeoutMs: WAL_TIMEOUT_MS,
      createReceiver: () => {
        throw scene.receiver.gone();
      },
    });
    const onProgress: Parameters<typeof takeBackup>[0]["onProgress"] = (done) =>
      tools.progress(bytesDone("taking the backup", done));
    return await takeBackup(
      { vault, clock, connection, wal, outsideFiles, onProgress },
      { label: "demo", checkpoint: "fast", compression: COMPRESSION, adoptSystem: false },
      { signal },
    );
  } finally {
    await connection.close();
  }
}

/** Deletes what should have stayed. */
export async function makeMistake(stage: Stage, scene: Scene): Promise<Deletion> {
  const { tools, signal, say } = stage;
  tools.progress({ phase: `deleting all rows of ${DELETED_TABLE}` });
  const deletion = await deleteByMistake(scene.server, { signal });
  say(
    `a mistake at ${timeOf(deletion.before)}: DELETE FROM ${DELETED_TABLE}, without WHERE; ${count(deletion.deletedRows)} rows are gone`,
  );
  // Only a delayed receiver is behind here: in quorum mode the DELETE itself has waited for it.
  await scene.receiver.untilCaughtUp(scene.server, { signal });
  await tools.clock.sleep(MOMENT_MS, { signal });
  return deletion;
}

/** Lets the client write for as long as was asked for. */
export async function letWrite(stage: Stage, since: Monotonic): Promise<void> {
  const { tools, choice, signal } = stage;
  for (;;) {
    const doneMs = tools.clock.monotonic() - since;
    if (doneMs >= choice.seconds * 1_000) return;
    tools.progress({
      phase: "the client writes",
      done: Math.floor(doneMs / 1_000),
      total: choice.seconds,
      unit: "seconds",
    });
    await tools.clock.sleep(Math.min(MOMENT_MS, choice.seconds * 1_000 - doneMs), { signal });
  }
}

function lifeboatAddress({ kit }: Stage, server: LocalServer): ConnectOptions {
  return {
    ...server.address({ user: LIFEBOAT_ROLE, password: kit.password, over: "tcp" }),
    applicationName: "lifeboat_backup",
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
}

async function writeSecret({ tools }: Stage, file: string, secret: string): Promise<void> {
  const parts = [Buffer.from(`${secret}\n`)];
  await writeDurable(tools.files, { file, parts, over: "new", permissions: 0o600, unique: "demo" });
}
