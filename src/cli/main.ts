/**
 * The program `lifeboat`.
 *
 * Invariants: this file alone owns signals, the environment and the exit status. The first SIGINT or SIGTERM asks the
 * command to clean up and end, within CLEAN_UP_MS; the second ends the process at once. SIGHUP is left alone, so that
 * `nohup` works. What was written to stdout and stderr is out before the process ends. A command whose stdout nobody reads, or
 * cannot be written, does its work to the end and ends with its own status.
 */
import { enableCompileCache } from "node:module";
import os from "node:os";
import path from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { EXIT } from "../errors/entry.ts";
import type { Sink } from "./output.ts";

/** A cancelled backup closes its connection and its files in well under a second; a stuck disk is not waited for. */
const CLEAN_UP_MS = 15_000;

/** What `wal get` ends with when the vault proves that it does not have the file. No other command ends with it. */
const NOT_IN_ARCHIVE = 1;

/** What a user without a home has on Debian: what would lie there cannot be made, and says so by its path. */
const NO_HOME = "/nonexistent";

/** Lines of text where the width is not known. */
const COLUMNS_DEFAULT = 100;

const json = process.argv.includes("--json");
/** Aborts when stdout takes nothing any more. */
const unread = new AbortController();
/** What a success ends with: what could not be written is missing from it. */
let statusOfSuccess = 0;
ownStreams();
const started = main(process.argv.slice(2)).then(end, (error: unknown) => {
  // Nothing below may throw; if it does, that is a bug and the stack is the message.
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return end(EXIT.bug);
});
await started;

async function main(args: readonly string[]): Promise<number> {
  const { version } = manifest;
  // Answered before anything is loaded: scripts ask for it, and so does every package manager.
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const workingFolder = workingFolderOf();
  if (workingFolder === undefined) {
    note("error: the working folder is no longer there. Change into another one, and run the command again.");
    return EXIT.usage;
  }
  const controller = new AbortController();
  ownSignals(controller);
  // Measured: 250 ms for a small command without, 80 ms with. PostgreSQL calls `wal get` once for every segment.
  enableCompileCache(cacheFolder(process.env));
  const [{ runCli }, { VERBS }, { systemClock }, { systemFiles }, terminal, { createPrompt }] = await Promise.all([
    import("./run.ts"),
    import("./verbs.ts"),
    import("../platform/clock.ts"),
    import("../platform/files.ts"),
    import("../platform/terminal.ts"),
    import("./prompt.ts"),
  ]);
  const environment = withoutPostgres(process.env);
  const status = await runCli(args, VERBS, {
    version,
    stdout: sinkOf(process.stdout),
    stderr: sinkOf(process.stderr),
    environment,
    place: placeOf(environment),
    workingFolder,
    signal: controller.signal,
    unread: unread.signal,
    clock: systemClock,
    files: systemFiles,
    prompt: (signal) => (terminal.hasTerminal() ? createPrompt(() => terminal.openTerminal(), { signal }) : undefined),
  });
  return forLauncher(status, process.env);
}

/**
 * What is set for psql must not reach our sessions: node-postgres takes from PG* variables what it is not told. Our settings are read
 * from the copy, PGPASSWORD among them.
 */
function withoutPostgres(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const copy = { ...environment };
  for (const name of Object.keys(copy).filter((each) => each.startsWith("PG"))) delete environment[name];
  return copy;
}

// The launcher lets `wal get` say "not in the archive" by a status that nothing else ends with: a Node.js that cannot even
// load this program ends with 1, and PostgreSQL would take that for the end of the WAL (safety rule B2).
function forLauncher(status: number, environment: NodeJS.ProcessEnv): number {
  const agreed = Number(environment["LIFEBOAT_ABSENT_STATUS"] ?? "");
  return status === NOT_IN_ARCHIVE && Number.isInteger(agreed) && agreed > NOT_IN_ARCHIVE ? agreed : status;
}

function ownSignals(controller: AbortController): void {
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) endBy(name);
      // Below the ^C that a terminal shows.
      if (!json) process.stderr.write("\n");
      note(`${name}: cleaning up; once more to end at once`);
      controller.abort(new Error(name));
      setTimeout(() => endBy(name), CLEAN_UP_MS).unref();
    });
  }
}

function ownStreams(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (unread.signal.aborted) return;
    unread.abort();
    // A reader that went away (`lifeboat backups | head`) is no failure of ours, and no success of a command that fails.
    if (error.code === "EPIPE") return;
    statusOfSuccess = EXIT.world;
    note(`the result could not be written: ${error.message}`);
  });
  process.stderr.on("error", () => {
    // Nobody is left to tell; the work itself goes on.
  });
}

function note(text: string): void {
  process.stderr.write(json ? `${JSON.stringify({ note: text })}\n` : `${text}\n`);
}

// Tried: process.exit waits for ever when a call hangs in the kernel, as on a dead disk or network file system. The
// signal's own default action does not.
function endBy(name: "SIGINT" | "SIGTERM"): void {
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}

// Ends the process rather than waiting for idle handles, but not before everything is written.
async function end(status: number): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))));
  process.exit(status === 0 ? statusOfSuccess : status);
}

function sinkOf(stream: NodeJS.WriteStream): Sink {
  return {
    isTerminal: stream.isTTY === true,
    get columns() {
      return stream.isTTY === true && stream.columns > 0 ? stream.columns : COLUMNS_DEFAULT;
    },
    write: (text) => {
      stream.write(text);
    },
    flushed: () => new Promise((done) => stream.write("", (error) => done(!error))),
  };
}

// Not Node's own choice, the shared temporary folder: what lies there would be run by root.
function cacheFolder(environment: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return "/var/cache/lifeboat";
  const given = environment["XDG_CACHE_HOME"];
  const base = given !== undefined && path.isAbsolute(given) ? given : path.join(homeOf(environment), ".cache");
  return path.join(base, "lifeboat");
}

// A shell may stand in a folder that somebody has removed.
function workingFolderOf(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

// os.homedir() believes HOME whatever it is, and throws for a user whom the system does not know, as in containers.
function homeOf(environment: NodeJS.ProcessEnv): string {
  const given = environment["HOME"];
  if (given !== undefined && path.isAbsolute(given)) return given;
  try {
    return os.userInfo().homedir || NO_HOME;
  } catch {
    return NO_HOME;
  }
}

function placeOf(environment: NodeJS.ProcessEnv) {
  const home = homeOf(environment);
  const base = (name: string, otherwise: string) => {
    const given = environment[name];
    // The XDG specification says to ignore a relative path.
    return given !== undefined && path.isAbsolute(given) ? given : path.join(home, otherwise);
  };
  return {
    uid: process.getuid?.() ?? 0,
    home,
    stateHome: base("XDG_STATE_HOME", ".local/state"),
    dataHome: base("XDG_DATA_HOME", ".local/share"),
    configHome: base("XDG_CONFIG_HOME", ".config"),
  };
}
