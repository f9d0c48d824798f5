/** What a server says of itself in `postmaster.pid`. Source: PostgreSQL source, pidfile.h. */

const LIVE_STATES = ["starting", "ready", "standby", "stopping"] as const;

/** Read. */
export type PidFile = {
  readonly pid: number;
  readonly status: (typeof LIVE_STATES)[number];
  /** Of its segment of System V shared memory. */
  readonly sharedMemoryId: string | undefined;
};

/** The largest that Linux gives. */
const PID_MAX = 2 ** 22;

/** Undefined for one that is just made and still empty, and for anything else that names no process. */
export function parsePidFile(text: string): PidFile | undefined {
  const lines = text.split("\n");
  // A server in single-user mode writes its pid negative.
  const pid = Number(/^-?(\d{1,7})\s*$/.exec(lines[0] ?? "")?.[1] ?? 0);
  if (pid === 0 || pid > PID_MAX) return undefined;
  const status = (lines[7] ?? "").trim();
  // Key and id of the segment, in two columns.
  const sharedMemoryId = /^\s*\d+\s+(\d+)\s*$/.exec(lines[6] ?? "")?.[1];
  return { pid, status: LIVE_STATES.find((each) => each === status) ?? "starting", sharedMemoryId };
}
