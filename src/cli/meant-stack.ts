/**
 * Which stack a command that looks means, where its configuration describes one and says nothing of a server, a vault or a receiver.
 *
 * Invariant: what somebody chose of these is left as it is; the defaults of a machine without a stack are left where nobody
 * described one and something lies there.
 */
import type { LoadedSettings } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { lifeboatConfigFile, protectedBy } from "../stack/receiver-config.ts";
import type { StackDescription } from "../stack/stack.ts";
import { MACHINE } from "./engine-machine.ts";
import { placeAnyway } from "./engine-stack.ts";
import type { Session } from "./verb.ts";

type Call = { readonly config: Config; readonly session: Session };

/** The call with the settings of its stack in place of defaults; says so where it does. Else the call as it is. */
export async function ofMeantStack<C extends Call>(call: C): Promise<C> {
  const { config, session } = call;
  const { rows } = await session.settings();
  const isChosen = (which: (path: string) => boolean): boolean =>
    rows.some(({ path, source }) => source.kind !== "default" && which(path));
  if (isChosen(saysWhatIsProtected)) return call;
  const vaultIsThere = (await MACHINE.files.stat(config.vault.path)) !== undefined;
  if (vaultIsThere && !isChosen(describesStack)) return call;
  const stack = await placeAnyway(config, session);
  const file = lifeboatConfigFile(stack);
  if ((await MACHINE.files.stat(file)) === undefined) return call;
  session.notice(`This is of stack ${stack.name}. Other commands about it: lifeboat --config ${file} …`);
  return { ...call, config: withStack(config, stack) };
}

type Row = LoadedSettings["rows"][number]["path"];

function saysWhatIsProtected(path: Row): boolean {
  return /^(server|vault|receiver)\./.test(path) || path === "folders.spool";
}

function describesStack(path: Row): boolean {
  return path.startsWith("stack.") || path === "folders.state";
}

/** What the stack's own lifeboat.yaml says of what is looked at. */
function withStack(config: Config, stack: StackDescription): Config {
  const { server, vault, folders, receiver } = protectedBy(stack);
  return {
    ...config,
    server: { ...config.server, ...server },
    vault: { ...config.vault, ...vault },
    folders: { ...config.folders, ...folders },
    receiver: { ...config.receiver, ...receiver },
  };
}
