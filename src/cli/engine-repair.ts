/** What `vault repair` does. */
import os from "node:os";
import { isLifeboatError } from "../errors/error.ts";
import { prepareRepair, runRepair, type SpooledWal } from "../vault/repair.ts";
import { listSpool, readSpoolFile } from "../wal/spool-files.ts";
import { readSpoolState } from "../wal/spool-state.ts";
import { openConfiguredVault } from "./compose.ts";
import { MACHINE } from "./engine-machine.ts";
import type { RepairConfiguredVault } from "./vault-repair.ts";

/** Plans, and carries out unless it is a dry run. */
export const repairConfiguredVault: RepairConfiguredVault = async (call) => {
  const { config, session, dryRun } = call;
  const { signal } = session;
  const vault = await openConfiguredVault(call, dryRun ? "read" : "write");
  const onProgress = ({ doneBytes, totalBytes }: { readonly doneBytes: number; readonly totalBytes: number }): void =>
    session.progress.report({ phase: "reading the vault", done: doneBytes, total: totalBytes });
  const tools = { vault, spooled: spooledIn(config.folders.spool), host: os.hostname(), onProgress };
  const plan = await prepareRepair(tools, { signal });
  return { plan, outcomes: dryRun ? undefined : await runRepair(tools, plan, { signal }) };
};

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
