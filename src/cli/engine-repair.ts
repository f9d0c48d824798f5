/** What `vault repair` does. */
import os from "node:os";
import { isLifeboatError } from "../errors/error.ts";
import type { Finding } from "../vault/check.ts";
import { objectMissing } from "../vault/header.ts";
import { historyKey } from "../vault/names.ts";
import { prepareRepair, runRepair, type SpooledWal } from "../vault/repair.ts";
import type { Vault } from "../vault/vault.ts";
import { listSpool, readSpoolFile } from "../wal/spool-files.ts";
import { readSpoolState } from "../wal/spool-state.ts";
import { historyTold } from "../wal/told-by-later.ts";
import { objectsOf, vaultGaps } from "../wal/vault-gaps.ts";
import { openConfiguredVault } from "./compose.ts";
import { givenHistory, unusedHistory } from "./engine-given-history.ts";
import { MACHINE } from "./engine-machine.ts";
import type { RepairConfiguredVault } from "./vault-repair.ts";

/** Plans, and carries out unless it is a dry run. */
export const repairConfiguredVault: RepairConfiguredVault = async (call) => {
  const { config, session, dryRun, history: file, system } = call;
  const { signal } = session;
  const vault = await openConfiguredVault(call, dryRun ? "read" : "write");
  const onProgress = ({ doneBytes, totalBytes }: { readonly doneBytes: number; readonly totalBytes: number }): void =>
    session.progress.report({ phase: "reading the vault", done: doneBytes, total: totalBytes });
  const spool = spooledIn(config.folders.spool);
  const given =
    file === undefined ? undefined : await givenHistory({ vault, config, spool }, { file, system }, { signal });
  const spooled: SpooledWal = async (wanted) =>
    wanted.kind === "history" && wanted.systemId === given?.systemId && wanted.timeline === given.timeline
      ? given.content
      : ((await spool(wanted)) ?? (await told(vault, wanted, { signal })));
  const missing = await missingWal(vault, spooled, { signal });
  const tools = { vault, spooled, missing, files: MACHINE.files, host: os.hostname(), onProgress };
  const plan = await prepareRepair(tools, { signal });
  const stored = new Set(plan.steps.map((step) => (step.kind === "mark" ? undefined : step.object)));
  if (given !== undefined && !stored.has(historyKey(given)))
    session.notice(await unusedHistory(vault, given, { signal }));
  return { plan, outcomes: dryRun ? undefined : await runRepair(tools, plan, { signal }) };
};

/** A history that something else in the vault tells. */
async function told(
  vault: Vault,
  wanted: Parameters<SpooledWal>[0],
  options: { readonly signal: AbortSignal },
): Promise<Buffer | undefined> {
  if (wanted.kind !== "history") return undefined;
  const { systemId, timeline } = wanted;
  return await historyTold({ vault, files: MACHINE.files, systemId }, timeline, options);
}

/** Of a longer gap the spool may have the rest: the next repair goes on there. */
const SPOOLED_MAX = 1024;

/** What is missing between and behind the backups: the first segment where nothing behind it can be restored, and each that is spooled. */
async function missingWal(
  vault: Vault,
  spooled: SpooledWal,
  options: { readonly signal: AbortSignal },
): Promise<readonly Finding[]> {
  const { outOfReach, between } = await vaultGaps({ vault, files: MACHINE.files }, options);
  const findings = new Map(outOfReach.map(({ finding }) => [finding.object, finding]));
  for (const gap of [...outOfReach, ...between]) {
    for (const { segment, object } of objectsOf(gap).take(SPOOLED_MAX)) {
      const held = await spooled({ kind: "segment", systemId: gap.systemId, segment });
      if (held !== undefined && !findings.has(object)) findings.set(object, { object, reason: objectMissing(object) });
    }
  }
  return [...findings.values()];
}

/** Complete segments, and the history of the timeline that is received, of this machine's spool. */
function spooledIn(folder: string): SpooledWal {
  return async (wanted) => {
    try {
      const state = await readSpoolState(MACHINE.files, folder);
      if (state === undefined || state.systemId !== wanted.systemId) return undefined;
      if (wanted.kind === "history") {
        return state.timeline === wanted.timeline && state.history !== "" ? Buffer.from(state.history) : undefined;
      }
      const files = await listSpool(MACHINE.files, folder, state);
      const file = files.find(({ kind, segment }) => kind === "complete" && segment === wanted.segment);
      return file && (await readSpoolFile(MACHINE.files, file));
    } catch (error) {
      // A spool that is not to be had, or damaged itself, is no source; the receiver says what is wrong with it.
      if (isLifeboatError(error) && error.kind !== "bug") return undefined;
      throw error;
    }
  };
}
