/** The processes that belong to a folder, for tests that show that nothing is left. */
import { readFile, readlink } from "node:fs/promises";
import { systemProcesses } from "../../src/platform/processes.ts";

/** A process with its command line. */
export type FoundProcess = { readonly pid: number; readonly command: string };

/** Every process but ours that works in a folder or names it in its arguments. */
export async function processesOf(folder: string): Promise<readonly FoundProcess[]> {
  const found: FoundProcess[] = [];
  for (const pid of (await systemProcesses.all()).filter((each) => each !== process.pid)) {
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (`${cwd}/`.startsWith(`${folder}/`) || command.includes(`${folder}/`)) found.push({ pid, command });
  }
  return found;
}
