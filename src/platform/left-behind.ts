/** What a server that was killed leaves running: processes that it started and that have not noticed yet. */
import type { Processes, ProcessFacts } from "./processes.ts";

/** A server whose process is gone. */
export type GoneServer = {
  /** Of the process that is gone; undefined where nobody knows it any more. */
  readonly pid: number | undefined;
  /** Of its executable. */
  readonly program: string;
  /** In which all processes of the server work. */
  readonly folder: string;
};

/**
 * The processes of a server that have lost it, and what they have started: those of its name that work in its folder, in a session of
 * their own, as each backend of PostgreSQL, or still in that of the server. Not another server that runs in the folder by now, nor
 * its children, nor one without children in somebody else's session, such as `postgres --single` at a terminal.
 */
export async function leftBehind(
  processes: Pick<Processes, "all" | "named" | "facts" | "workingIn">,
  { pid: gone, program, folder }: GoneServer,
): Promise<readonly number[]> {
  const living = async (pids: readonly number[]): Promise<readonly ProcessFacts[]> => {
    const looked = await Promise.all(pids.map((pid) => processes.facts(pid)));
    return looked.filter((facts) => facts !== undefined).filter(({ zombie }) => !zombie);
  };
  const named = await living(processes.named(program));
  const seen = await processes.workingIn(
    named.map(({ pid }) => pid),
    folder,
  );
  const here = named.filter(({ pid }) => seen.get(pid) === "yes");
  const pids = new Set(here.map(({ pid }) => pid));
  // What is about to become a command has the name of what starts it for a moment, and its session.
  const backends = here.filter(({ pid, sessionId }) => sessionId === pid);
  const servers = new Set(backends.map(({ parentPid }) => parentPid).filter((parent) => pids.has(parent)));
  const left = here
    .filter(({ pid, parentPid }) => !servers.has(pid) && !servers.has(parentPid))
    .filter(({ pid, sessionId }) => sessionId === pid || sessionId === gone)
    .map(({ pid }) => pid);
  if (left.length === 0) return left;
  const all = await living(await processes.all());
  // What is added is gone through as well.
  for (const parent of left) left.push(...all.filter(({ parentPid }) => parentPid === parent).map(({ pid }) => pid));
  return left;
}
