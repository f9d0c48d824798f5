/** What a server that was killed leaves running: processes that it started and that have not noticed yet. */
import { LifeboatError } from "../errors/error.ts";
import type { Processes, ProcessFacts } from "./processes.ts";

/** A server whose process is gone. */
export type GoneServer = {
  /** Of the process that is gone; undefined where nobody knows it any more. */
  readonly pid: number | undefined;
  /** Of its executable. */
  readonly program: string;
  /** In which all processes of the server work; its command line names it. */
  readonly folder: string;
};

type Looking = Pick<Processes, "all" | "named" | "facts" | "workingIn" | "commandLine">;

/** What has lost its parent falls to it, and it may be a server itself, as in a container. */
const INIT = 1;

/** What a backend shows as its command line, soon after its start. Source: ps_status.c, PROGRAM_NAME_PREFIX. */
const TITLE = "postgres: ";

/** With one of these first a program named as a server's works alone, and for no client. Source: main.c, dispatch options. */
const ALONE = new Set(["--single", "--boot", "--check"]);

/**
 * The processes of a server that have lost it, and what they have started: those of its name that work in its folder, in a session of
 * their own, as each backend of PostgreSQL, or still in that of the server. Not another server that runs in the folder by now, nor
 * its children, nor one without children in somebody else's session, nor `postgres --single`.
 *
 * Only where one may have lost its server it is asked what it works in: while others run on the machine, that costs nothing. Of a
 * backend that has lost its server, and nobody can be asked, it does not matter whose it was: it is to end anyway. Rejects with
 * `platform.file-denied` where such a one may be that of a living server that is process 1.
 */
export async function leftBehind(processes: Looking, gone: GoneServer): Promise<readonly number[]> {
  const living = async (pids: readonly number[]): Promise<readonly ProcessFacts[]> => {
    const looked = await Promise.all(pids.map((pid) => processes.facts(pid)));
    return looked.filter((facts) => facts !== undefined).filter(({ zombie }) => !zombie);
  };
  const named = await living(processes.named(gone.program));
  const first = named.filter(({ pid }) => pid === INIT);
  const mayBe = lost(
    named.filter(({ pid }) => pid !== INIT),
    gone,
  );
  if (mayBe.length === 0) return [];
  const here = await ofServer(processes, [...first, ...mayBe], gone);
  const left = lost(here, gone).map(({ pid }) => pid);
  if (left.length === 0) return left;
  const all = await living(await processes.all());
  // What is added is gone through as well.
  for (const parent of left) left.push(...all.filter(({ parentPid }) => parentPid === parent).map(({ pid }) => pid));
  return left;
}

/** Those of them that have no server among them and are none. */
function lost(named: readonly ProcessFacts[], gone: GoneServer): readonly ProcessFacts[] {
  const pids = new Set(named.map(({ pid }) => pid));
  // What is about to become a command has the name of what starts it for a moment, and its session.
  const backends = named.filter(({ pid, sessionId }) => sessionId === pid);
  const servers = new Set(backends.map(({ parentPid }) => parentPid).filter((parent) => pids.has(parent)));
  return named
    .filter(({ pid, parentPid }) => !servers.has(pid) && !servers.has(parentPid))
    .filter(({ pid, sessionId }) => sessionId === pid || sessionId === gone.pid);
}

async function ofServer(
  processes: Looking,
  asked: readonly ProcessFacts[],
  { folder }: GoneServer,
): Promise<readonly ProcessFacts[]> {
  const pids = asked.map(({ pid }) => pid);
  const seen = await processes.workingIn(pids, folder);
  const isOfServer = async ({ pid, parentPid }: ProcessFacts): Promise<boolean> => {
    const works = seen.get(pid);
    if (works !== "yes" && works !== "unknown") return false;
    const [title = "", first = "", ...rest] = await processes.commandLine(pid);
    if (ALONE.has(first)) return false;
    if (works === "yes") return true;
    // Before it has its title it shows what its server was started with.
    if (!title.startsWith(TITLE) && ![first, ...rest].includes(folder)) return false;
    if (parentPid !== INIT || !pids.includes(INIT)) return true;
    throw new LifeboatError("platform.file-denied", {
      message: `cannot tell whether process ${pid} was left behind by the server of ${folder}, or is one of process 1, a server itself`,
      remedy:
        "Run as root with CAP_SYS_PTRACE, and let the first process of a container be an init (docker run --init).",
      details: { pid },
    });
  };
  const answers = await Promise.all(asked.map(isOfServer));
  return asked.filter((_, nth) => answers[nth] === true);
}
