/** Every verb that is declared, with engines that a test gives or that fail when they are called. */
import type { TakeConfiguredBackup } from "../../src/cli/backup.ts";
import { backupVerb } from "../../src/cli/backup.ts";
import { backupsVerb, type ListConfiguredBackups } from "../../src/cli/backups.ts";
import { completionVerb } from "../../src/cli/completion.ts";
import { configExplainVerb } from "../../src/cli/config.ts";
import { configRenderVerb, type RenderConfigured } from "../../src/cli/config-render.ts";
import { daemonVerb, type RunDaemon } from "../../src/cli/daemon.ts";
import { demoVerb, type RunDemo } from "../../src/cli/demo.ts";
import { type Diagnose, doctorVerb } from "../../src/cli/doctor.ts";
import { downVerb, type TakeDown } from "../../src/cli/down.ts";
import { type DurabilityEngine, durabilityVerb } from "../../src/cli/durability.ts";
import { type ExecConfigured, execVerb } from "../../src/cli/exec.ts";
import { type FailoverEngine, failoverPauseVerb, failoverResumeVerb, failoverVerb } from "../../src/cli/failover.ts";
import { type HoldEngine, holdVerb, releaseVerb } from "../../src/cli/hold.ts";
import { logsVerb, type ReadLogs } from "../../src/cli/logs.ts";
import { type FindPoints, pointsVerb } from "../../src/cli/points.ts";
import { type PoolerEngine, poolerResumeVerb, poolerStatusVerb, poolerWatchVerb } from "../../src/cli/pooler.ts";
import { type ProbeEngine, probeReadBackVerb, probeVerb } from "../../src/cli/probe.ts";
import { type PruneConfiguredVault, pruneVerb } from "../../src/cli/prune.ts";
import { type LookAtStack, psVerb } from "../../src/cli/ps.ts";
import { replicationVerb, type WatchReplication } from "../../src/cli/replication.ts";
import { type RestartConfigured, restartVerb } from "../../src/cli/restart.ts";
import { type RestoreEngine, restoreVerb } from "../../src/cli/restore.ts";
import { type ScaleConfigured, scaleVerb } from "../../src/cli/scale.ts";
import { type LookAtStatus, statusVerb } from "../../src/cli/status.ts";
import { rebuildVerb, switchoverVerb } from "../../src/cli/switchover.ts";
import { type UpEngine, upVerb } from "../../src/cli/up.ts";
import { type CheckConfiguredVault, type MakeVault, vaultCheckVerb, vaultInitVerb } from "../../src/cli/vault.ts";
import { type KeyEngine, vaultKeyVerb } from "../../src/cli/vault-key.ts";
import { type RepairConfiguredVault, vaultRepairVerb } from "../../src/cli/vault-repair.ts";
import type { Verb } from "../../src/cli/verb.ts";
import { type VerifyConfigured, verifyVerb } from "../../src/cli/verify.ts";
import {
  type GetWal,
  type LookAtWal,
  type ReceiveWal,
  walGetVerb,
  walReceiveVerb,
  walStatusVerb,
} from "../../src/cli/wal.ts";
import { type FeedRecovery, walFeedVerb } from "../../src/cli/wal-feed.ts";

/** The engines behind the verbs. */
export type Engines = {
  readonly diagnose: Diagnose;
  readonly lookAtStatus: LookAtStatus;
  readonly keys: KeyEngine;
  readonly makeVault: MakeVault;
  readonly checkVault: CheckConfiguredVault;
  readonly repairVault: RepairConfiguredVault;
  readonly takeBackup: TakeConfiguredBackup;
  readonly listBackups: ListConfiguredBackups;
  readonly holds: HoldEngine;
  readonly verify: VerifyConfigured;
  readonly prune: PruneConfiguredVault;
  readonly findPoints: FindPoints;
  readonly receiveWal: ReceiveWal;
  readonly lookAtWal: LookAtWal;
  readonly getWal: GetWal;
  readonly feedRecovery: FeedRecovery;
  readonly restore: RestoreEngine;
  readonly probe: ProbeEngine;
  readonly up: UpEngine;
  readonly takeDown: TakeDown;
  readonly lookAtStack: LookAtStack;
  readonly readLogs: ReadLogs;
  readonly restart: RestartConfigured;
  readonly scale: ScaleConfigured;
  readonly exec: ExecConfigured;
  readonly durability: DurabilityEngine;
  readonly watchReplication: WatchReplication;
  readonly poolers: PoolerEngine;
  readonly failover: FailoverEngine;
  readonly runDaemon: RunDaemon;
  readonly runDemo: RunDemo;
  readonly renderConfigured: RenderConfigured;
};

/** All verbs in the order of help. */
export function allVerbs(engines: Partial<Engines> = {}): readonly Verb[] {
  const verbs: readonly Verb[] = [
    doctorVerb(engines.diagnose ?? notGiven),
    statusVerb(engines.lookAtStatus ?? notGiven),
    vaultInitVerb(engines.makeVault ?? notGiven),
    vaultCheckVerb(engines.checkVault ?? notGiven),
    vaultRepairVerb(engines.repairVault ?? notGiven),
    vaultKeyVerb(
      engines.keys ?? { list: notGiven, add: notGiven, remove: notGiven, rewrap: notGiven, rotate: notGiven },
    ),
    backupVerb(engines.takeBackup ?? notGiven),
    holdVerb(engines.holds ?? noHolds),
    releaseVerb(engines.holds ?? noHolds),
    backupsVerb(engines.listBackups ?? notGiven),
    verifyVerb(engines.verify ?? notGiven),
    pruneVerb(engines.prune ?? notGiven),
    pointsVerb(engines.findPoints ?? notGiven),
    walReceiveVerb(engines.receiveWal ?? notGiven),
    walStatusVerb(engines.lookAtWal ?? notGiven),
    walGetVerb(engines.getWal ?? notGiven),
    walFeedVerb(engines.feedRecovery ?? notGiven),
    restoreVerb(engines.restore ?? { plan: notGiven }),
    probeVerb(engines.probe ?? noProbe),
    probeReadBackVerb(engines.probe ?? noProbe),
    upVerb(engines.up ?? { plan: notGiven, run: notGiven }),
    downVerb(engines.takeDown ?? notGiven),
    psVerb(engines.lookAtStack ?? notGiven),
    logsVerb(engines.readLogs ?? notGiven),
    restartVerb(engines.restart ?? notGiven),
    scaleVerb(engines.scale ?? notGiven),
    execVerb(engines.exec ?? notGiven),
    durabilityVerb(engines.durability ?? { look: notGiven, plan: notGiven, change: notGiven }),
    replicationVerb(engines.watchReplication ?? notGiven),
    poolerStatusVerb(engines.poolers ?? noPoolers),
    poolerResumeVerb(engines.poolers ?? noPoolers),
    poolerWatchVerb(engines.poolers ?? noPoolers),
    failoverVerb(engines.failover ?? noFailover),
    failoverPauseVerb(engines.failover ?? noFailover),
    failoverResumeVerb(engines.failover ?? noFailover),
    switchoverVerb(engines.failover ?? noFailover),
    rebuildVerb(engines.failover ?? noFailover),
    daemonVerb(engines.runDaemon ?? notGiven),
    demoVerb(engines.runDemo ?? notGiven),
    configExplainVerb(),
    configRenderVerb(engines.renderConfigured ?? notGiven),
    completionVerb(() => verbs),
  ];
  return verbs;
}

const noProbe: ProbeEngine = { run: notGiven, readBack: notGiven };
const noPoolers: PoolerEngine = { look: notGiven, resume: notGiven, watch: notGiven };

const noFailover: FailoverEngine = {
  check: notGiven,
  promote: notGiven,
  adopt: notGiven,
  switchover: notGiven,
  rebuild: notGiven,
  putBack: notGiven,
  setMaintenance: notGiven,
};

const noHolds: HoldEngine = { hold: notGiven, release: notGiven };

async function notGiven(): Promise<never> {
  throw new Error("this test gave no engine");
}
