/** What a server that was killed leaves running: processes that it started and that have not noticed yet. */
import type { Processes, ProcessFacts, ProcessUser } from "./processes.ts";

/** A server whose process is gone. */
export type GoneServer = {
  /** Of the process that is gone; undefined where nobody knows it any more. */
  readonly pid: number | undefined;
  /** Of its executable. */
  readonly program: string;
  /** In which all processes of the server work. */
  readonly folder: string;
  /** Whom it ran as; undefined: ourselves. */
  readonly user: ProcessUser | undefined;
};

type Looking = Pick<Processes, "all" | "named" | "facts" | "worksIn" | "run">;

/** It compares a few numbers. */
const LOOK_TIMEOUT_MS = 2_000;

/**
 * The processes of a server that have lost it, and what they have started: those of its name that work in its folder, in a session of
 * their own, as each backend of PostgreSQL, or still in that of the server. Not another server that runs in the folder by now, nor
 * its children, nor one without children in somebody else's session, such as `postgres --single` at a terminal.
 */
export async function leftBehind(
  processes: Looking,
  { pid: gone, program, folder, user }: GoneServer,
): Promise<readonly number[]> {
  const living = async (pids: readonly number[]): Promise<readonly ProcessFacts[]> => {
    const looked = await Promise.all(pids.map((pid) => processes.facts(pid)));
    return looked.filter((facts) => facts !== undefined).filter(({ zombie }) => !zombie);
  };
  const named = await living(processes.named(program));
  const pids = await workingIn(processes, { folder, user }, new Set(named.map(({ pid }) => pid)));
  const here = named.filter(({ pid }) => pids.has(pid));
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

/** Root may not look into processes of others where it has no CAP_SYS_PTRACE, as in a container by default: their user may. */
async function workingIn(
  processes: Looking,
  { folder, user }: Pick<GoneServer, "folder" | "user">,
  pids: ReadonlySet<number>,
): Promise<ReadonlySet<number>> {
  const among = async (test: (pid: number) => Promise<boolean>, all: readonly number[]): Promise<readonly number[]> => {
    const answers = await Promise.all(all.map(test));
    return all.filter((_, nth) => answers[nth] === true);
  };
  const seen = new Set(await among((pid) => processes.worksIn(pid, `/proc/${pid}/cwd`), [...pids]));
  const here = await among((pid) => processes.worksIn(pid, folder), [...seen]);
  const unseen = [...pids].filter((pid) => !seen.has(pid)).map(String);
  if (user === undefined || unseen.length === 0) return new Set(here);
  const { stdout } = await processes.run({
    command: "/bin/sh",
    args: ["-c", 'for each; do [ "/proc/$each/cwd" -ef "$0" ] && echo "$each"; done', folder, ...unseen],
    user,
    timeoutMs: LOOK_TIMEOUT_MS,
  });
  return new Set([...here, ...stdout.split("\n").filter(Boolean).map(Number)]);
}
