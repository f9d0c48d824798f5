/**
 * The verbs of this program, in the order of help.
 *
 * Invariant: only declarations are loaded here; what a verb does is imported when it runs (compose.ts).
 */
import { backupsVerb } from "./backups.ts";
import { completionVerb } from "./completion.ts";
import { checkConfiguredVault, listConfiguredBackups, makeVault } from "./compose.ts";
import { configExplainVerb } from "./config.ts";
import { vaultCheckVerb, vaultInitVerb } from "./vault.ts";
import type { Verb } from "./verb.ts";

/** Every verb whose engine is there. */
export const VERBS: readonly Verb[] = [
  vaultInitVerb(makeVault),
  vaultCheckVerb(checkConfiguredVault),
  backupsVerb(listConfiguredBackups),
  configExplainVerb(),
  completionVerb(() => VERBS),
];
