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
  findPoints,
  getWal,
  listConfiguredBackups,
  lookAtWal,
  makeVault,
  receiveWal,
  restoreEngine,
  runDemo,
  takeConfiguredBackup,
} from "./compose.ts";
import { configExplainVerb } from "./config.ts";
import { demoVerb } from "./demo.ts";
import { pointsVerb } from "./points.ts";
import { restoreVerb } from "./restore.ts";
import { vaultCheckVerb, vaultInitVerb } from "./vault.ts";
import type { Verb } from "./verb.ts";
import { walGetVerb, walReceiveVerb, walStatusVerb } from "./wal.ts";

/** Every verb whose engine is there. */
export const VERBS: readonly Verb[] = [
  vaultInitVerb(makeVault),
  vaultCheckVerb(checkConfiguredVault),
  backupVerb(takeConfiguredBackup),
  backupsVerb(listConfiguredBackups),
  pointsVerb(findPoints),
  walReceiveVerb(receiveWal),
  walStatusVerb(lookAtWal),
  walGetVerb(getWal),
  restoreVerb(restoreEngine),
  demoVerb(runDemo),
  configExplainVerb(),
  completionVerb(() => VERBS),
];
