/** Finds the programs of a stack, and offers to install those that are missing. */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { currentUid } from "../platform/run-as.ts";
import { installPrograms } from "../stack/programs.ts";
import type { StackDescription } from "../stack/stack.ts";
import type { StackPlatform, StackTools } from "../stack/tools.ts";
import { MACHINE } from "./engine-machine.ts";
import { type StackCall, stackTools } from "./engine-stack.ts";
import { programPaths } from "./program-paths.ts";

/** Every Debian, and every system made of it, has this file. */
const DEBIAN_MARK = "/etc/debian_version";

/**
 * As `stackTools`. Where programs are missing, root on Debian is asked at the terminal whether to install them, or has said
 * so with `install`; else it rejects with `stack.program-missing`. Rejects with `stack.install-failed`.
 */
export async function stackToolsOrInstall(
  call: StackCall,
  stack: StackDescription,
  choice: { readonly platform: StackPlatform; readonly install: boolean },
): Promise<StackTools> {
  try {
    return await stackTools(call, stack, choice.platform);
  } catch (error) {
    if (!isLifeboatError(error, "stack.program-missing")) throw error;
    await install(call, choice.install, error);
    return await stackTools(call, stack, choice.platform);
  }
}

async function install({ session }: StackCall, accepted: boolean, missing: LifeboatError): Promise<void> {
  const packages = String(missing.details["packages"]).split(" ");
  const possible = currentUid() === 0 && (await MACHINE.files.stat(DEBIAN_MARK)) !== undefined;
  if (!possible) throw missing;
  if (!accepted) {
    const { prompt } = session;
    if (prompt === undefined) throw missing;
    const offer = "Debian's packages of them can be installed now; no service of theirs will be started.";
    await prompt.confirm({ what: `${missing.message}.\n${offer}`, word: "install" });
  }
  session.notice(`Installing ${packages.join(", ")} ...`);
  const { installer } = programPaths();
  await installPrograms(MACHINE, { installer, packages }, { signal: session.signal });
}
