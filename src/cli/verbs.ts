/**
 * The verbs of this program, in the order of help.
 *
 * Invariant: only declarations are loaded here; what a verb does is imported when it runs (compose.ts).
 */
import { backupVerb } from "./backup.ts";
import { backupsVerb } from "./backups.ts";
import { completionVerb } from "./completion.ts";
import {
  checkConfiguredVault,
  diagnoseConfigured,
  durabilityEngine,
  execConfigured,
  failoverEngine,
  feedRecovery,
  findPoints,
  getWal,
  holdEngine,
  keyEngine,
  listConfiguredBackups,
  lookAtStack,
  lookAtStatus,
  lookAtWal,
  makeVault,
  poolerEngine,
  probeEngine,
  pruneConfiguredVault,
  readLogs,
  receiveWal,
  renderConfigured,
  repairConfiguredVault,
  restartConfigured,
  restoreEngine,
  runDaemon,
  runDemo,
  scaleConfigured,
  takeConfiguredBackup,
  takeDown,
  upEngine,
  verifyConfigured,
  watchReplication,
} from "./compose.ts";
import { configExplainVerb } from "./config.ts";
import { configRenderVerb } from "./config-render.ts";
import { daemonVerb } from "./daemon.ts";
import { demoVerb } from "./demo.ts";
import { doctorVerb } from "./doctor.ts";
import { downVerb } from "./down.ts";
import { durabilityVerb } from "./durability.ts";
import { execVerb } from "./exec.ts";
import { failoverPauseVerb, failoverResumeVerb, failoverVerb } from "./failover.ts";
import { holdVerb, releaseVerb } from "./hold.ts";
import { logsVerb } from "./logs.ts";
import { pointsVerb } from "./points.ts";
import { poolerResumeVerb, poolerStatusVerb, poolerWatchVerb } from "./pooler.ts";
import { probeReadBackVerb, probeVerb } from "./probe.ts";
import { pruneVerb } from "./prune.ts";
import { psVerb } from "./ps.ts";
import { replicationVerb } from "./replication.ts";
import { restartVerb } from "./restart.ts";
import { restoreVerb } from "./restore.ts";
import { scaleVerb } from "./scale.ts";
import { statusVerb } from "./status.ts";
import { rebuildVerb, switchoverVerb } from "./switchover.ts";
import { upVerb } from "./up.ts";
import { vaultCheckVerb, vaultInitVerb } from "./vault.ts";
import { vaultKeyVerb } from "./vault-key.ts";
import { vaultRepairVerb } from "./vault-repair.ts";
import type { Verb } from "./verb.ts";
import { verifyVerb } from "./verify.ts";
import { walGetVerb, walReceiveVerb, walStatusVerb } from "./wal.ts";
import { walFeedVerb } from "./wal-feed.ts";

/** Every verb whose engine is there. */
export const VERBS: readonly Verb[] = [
  doctorVerb(diagnoseConfigured),
  statusVerb(lookAtStatus),
  vaultInitVerb(makeVault),
  vaultCheckVerb(checkConfiguredVault),
  vaultRepairVerb(repairConfiguredVault),
  vaultKeyVerb(keyEngine),
  backupVerb(takeConfiguredBackup),
  holdVerb(holdEngine),
  releaseVerb(holdEngine),
  backupsVerb(listConfiguredBackups),
  verifyVerb(verifyConfigured),
  pruneVerb(pruneConfiguredVault),
  pointsVerb(findPoints),
  walReceiveVerb(receiveWal),
  walStatusVerb(lookAtWal),
  walGetVerb(getWal),
  walFeedVerb(feedRecovery),
  restoreVerb(restoreEngine),
  probeVerb(probeEngine),
  probeReadBackVerb(probeEngine),
  upVerb(upEngine),
  downVerb(takeDown),
  psVerb(lookAtStack),
  logsVerb(readLogs),
  restartVerb(restartConfigured),
  scaleVerb(scaleConfigured),
  execVerb(execConfigured),
  durabilityVerb(durabilityEngine),
  replicationVerb(watchReplication),
  poolerStatusVerb(poolerEngine),
  poolerResumeVerb(poolerEngine),
  poolerWatchVerb(poolerEngine),
  failoverVerb(failoverEngine),
  failoverPauseVerb(failoverEngine),
  failoverResumeVerb(failoverEngine),
  switchoverVerb(failoverEngine),
  rebuildVerb(failoverEngine),
  daemonVerb(runDaemon),
  demoVerb(runDemo),
  configExplainVerb(),
  configRenderVerb(renderConfigured),
  completionVerb(() => VERBS),
];
