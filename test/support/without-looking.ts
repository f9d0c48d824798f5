/** Root as a container has it by default: without the right to look into processes of others. */
import assert from "node:assert/strict";
import path from "node:path";
import { systemProcesses } from "../../src/platform/processes.ts";
import { currentUid } from "../../src/platform/run-as.ts";

const SOURCES = path.join(import.meta.dirname, "../../src");

/**
 * What an expression tells in such a process of Node, as JSON. `src` is for imports there. `asking: false`: it may not become another
 * user either. Who is not root has no such rights anyway, and looks into what is its own.
 */
export async function withoutLooking(code: string, { asking }: { readonly asking: boolean }): Promise<unknown> {
  const dropped = asking ? "-sys_ptrace" : "-sys_ptrace,-setuid,-setgid";
  const module = `const src = ${JSON.stringify(SOURCES)};\nconsole.log(JSON.stringify(await (async () => { ${code} })()));`;
  const node = [process.execPath, "--input-type=module", "-e", module];
  const [command = "", ...args] = [
    ...(currentUid() === 0 ? ["setpriv", "--bounding-set", dropped, "--inh-caps", dropped] : []),
    ...node,
  ];
  const { exit, stdout, stderr } = await systemProcesses.run({ command, args, timeoutMs: 30_000 });
  assert.deepEqual(exit, { kind: "exited", status: 0 }, stderr);
  return JSON.parse(stdout);
}
