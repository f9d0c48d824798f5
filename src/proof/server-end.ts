/**
 * Says, by its log, whether the end of a sandbox's server has to do with the backup or with the machine.
 *
 * A failure on record takes a backup out of what is restored from and built on, so that only what the log calls damage is one;
 * a full disk or the kernel's killer can strike any server, also in the words of a PANIC. The words are English: a sandbox sets
 * lc_messages.
 */

/** What a log tells of an end. `unclear` may be anything: a setting, a file of another machine. */
export type ServerEnd =
  | { readonly kind: "damage" }
  | { readonly kind: "machine"; readonly why: "disk-full" | "killed" | "other"; readonly line: string }
  | { readonly kind: "unclear" };

const DISK_FULL = /No space left on device|Disk quota exceeded/;
const KILLED = /was terminated by signal 9\b/;
const OTHER = new RegExp(
  [
    "Cannot allocate memory",
    "out of memory",
    "Input/output error",
    "Too many open files",
    "Read-only file system",
    "Permission denied",
    // What the programs or their libraries here lack, or what the sandbox's settings are too low for.
    "could not (access file|load library)",
    "resource manager with ID \\d+ not registered",
    "insufficient parameter settings",
    "files are incompatible with server",
    "locale is incompatible with operating system",
    "(not supported (in|by) this build|to be built with)",
  ].join("|"),
);

const DAMAGE = new RegExp(
  [
    "\\bPANIC:",
    "\\bredo\\b",
    "checksum",
    "checkpoint record",
    "checkpoint has wrong",
    "consistent recovery",
    "end of online backup",
    "invalid page",
    "(invalid|incorrect) (data|size)",
    "magic number",
    "corrupt",
    "could not read",
    'could not open (file|directory) "?(base|global|pg_)',
    "could not access status of transaction",
    "is not a valid data directory",
  ].join("|"),
);

/**
 * What crashes on data that makes no sense: SIGILL, SIGABRT after a PANIC, SIGFPE, SIGSEGV. And recovery that gave up, whatever
 * it said: settings have been read before.
 */
const CRASHED = /was terminated by signal (4|6|8|11)\b|due to startup process failure/;

/** Lines that belong to the one before. */
const FOLLOWING = /\b(DETAIL|HINT|CONTEXT|STATEMENT):/;
const FATAL = /\b(FATAL|PANIC):/;

/** Reads the end of a log. Pure. */
export function readServerEnd(log: string): ServerEnd {
  const lines = fatalLines(log);
  for (const [why, pattern] of [
    ["disk-full", DISK_FULL],
    ["killed", KILLED],
    ["other", OTHER],
  ] as const) {
    // A kill is told by the postmaster, which goes on.
    const line = (why === "killed" ? log.split("\n") : lines).find((each) => pattern.test(each));
    if (line !== undefined) return { kind: "machine", why, line: line.trim() };
  }
  const damaged = CRASHED.test(log) || lines.some((line) => DAMAGE.test(line));
  return damaged ? { kind: "damage" } : { kind: "unclear" };
}

/** What ended a process or a session, with all that was said about it. */
function fatalLines(log: string): readonly string[] {
  const found: string[] = [];
  let inside = false;
  for (const line of log.split("\n")) {
    inside = FATAL.test(line) || (inside && (FOLLOWING.test(line) || line.startsWith("\t")));
    if (inside) found.push(line);
  }
  return found;
}
