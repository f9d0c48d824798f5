/** Lifeboat with its receiver running, as it must be for a backup to keep what an earlier one has. */
import path from "node:path";
import type { Measurement } from "../measure.ts";
import { dropSlot, lifeboatReceiver, startReceiver, untilStored } from "../receiver.ts";
import { type Base, type Place, query } from "../workload.ts";
import type { ChainTool } from "./backup-tool.ts";
import { LifeboatFolder, lifeboatTool } from "./lifeboat.ts";

/** The segments of one update are stored within seconds; a busy machine takes longer. */
const STORE_TIMEOUT_MS = 300_000;

/** Lifeboat and its receiver. */
export function lifeboatChainTool(place: Place, base: Base): ChainTool {
  const tool = lifeboatTool(place, base);
  const home = new LifeboatFolder(place, base);
  const receiver = lifeboatReceiver(home);
  const store = path.join(home.folder, "vault", "wal");
  let receiving: Measurement | undefined;
  const close = async () => {
    await receiving?.stop();
    receiving = undefined;
  };
  // What was changed there since is what is measured to be given up.
  const restoreInPlace = (targetFolder: string) =>
    home.command("--json", "restore", "--target", targetFolder, "--delta", "--give-up-commits", "--boot");
  return {
    ...tool,
    prepare: async (call) => {
      await close();
      await tool.prepare(call);
      receiving = await startReceiver(base, { receiver, logFile: path.join(place.runFolder, "receiver.log") }, call);
    },
    backup: home.command("--json", "backup"),
    next: home.command("--json", "backup"),
    beginTurn: async (call) => {
      const [row] = await query(base.server, "SELECT lower(pg_walfile_name(pg_switch_wal())) AS name", call);
      await untilStored(store, { segment: String(row?.["name"]), timeoutMs: STORE_TIMEOUT_MS }, call);
    },
    endTurn: async () => {},
    companionPid: () => receiving?.pid,
    wasFull: async (log) => resultIn(log)["whyFull"] !== null,
    restore: (targetFolder) => ({
      command: home.command("--json", "restore", "--target", targetFolder, "--boot"),
      boots: true,
    }),
    restoreInPlace: (targetFolder) => ({ command: restoreInPlace(targetFolder), boots: true }),
    toldBy: (log) => {
      const { server, writtenBytes } = resultIn(log);
      const started = typeof server === "object" && server !== null && "recoveryMs" in server;
      return {
        ...(started ? { startMs: Number(server.recoveryMs) } : {}),
        ...(typeof writtenBytes === "number" ? { writtenBytes } : {}),
      };
    },
    clear: async (call) => {
      await close();
      await dropSlot(base, receiver.slot, call);
      await tool.clear(call);
    },
    close,
  };
}

/** What a command printed with --json: the last line that is no progress. */
function resultIn(log: string): Readonly<Record<string, unknown>> {
  const results = log
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((value) => !("progress" in value || "note" in value));
  return results.at(-1) ?? {};
}
