/**
 * The command line as processes of its own, on a folder with a lifeboat.yaml, for tests that stand where a user stands.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { NODE_OPTIONS, PROGRAMS } from "./program.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const PROGRAM = [...NODE_OPTIONS, PROGRAMS.lifeboat];

/** A command that takes longer hangs: its own waits end before, and say what was waited for. */
const PATIENCE_MS = 150_000;

/** What a command did. `status` is null when a signal ended it. */
export type Ran = { readonly status: number | null; readonly out: string; readonly err: string };

/** A command under way. */
export type Running = {
  readonly child: ChildProcess;
  /** Resolves when the pattern was said on stderr; rejects when the command ends before. */
  readonly said: (pattern: RegExp) => Promise<void>;
  /** The same of stdout. */
  readonly printed: (pattern: RegExp) => Promise<void>;
  readonly ended: Promise<Ran>;
};

/** What a call wants different. */
export type CallOptions = {
  readonly environment?: Readonly<Record<string, string>>;
  /** Through bin/lifeboat, as a user types it; default the program itself, which starts a quarter of a second sooner. */
  readonly launcher?: boolean;
  /** In a session of its own, so that it has no terminal to ask at, wherever the tests run. */
  readonly withoutTerminal?: boolean;
};

/** Where commands run: a folder with lifeboat.yaml. */
export class CommandLine {
  readonly folder: string;
  readonly #running = new Map<ChildProcess, Promise<Ran>>();
  // Not root's own, in /var/cache: a test leaves nothing behind. The runner's when there is one: compiled once for all.
  readonly #cache: string;

  constructor(folder: string) {
    this.folder = folder;
    this.#cache = process.env["NODE_COMPILE_CACHE"] ?? path.join(folder, "..", "cache");
    mkdirSync(folder, { recursive: true });
  }

  /** Writes a file beside lifeboat.yaml and returns its path. Secrets get mode 0600. */
  write(name: string, text: string, mode = 0o600): string {
    const file = path.join(this.folder, name);
    writeFileSync(file, text, { mode });
    return file;
  }

  /** Starts a command; the words of `line` are its arguments. */
  start(line: string, options: CallOptions = {}): Running {
    const args = line.split(" ").filter((word) => word !== "");
    const [command, first] =
      options.launcher === true ? [path.join(ROOT, "bin/lifeboat"), []] : [process.execPath, PROGRAM];
    const { PATH = "", TMPDIR = "/tmp", LIFEBOAT_TEST_FILE = "" } = process.env;
    const child = spawn(command, [...first, ...args], {
      cwd: this.folder,
      env: {
        PATH,
        TMPDIR,
        LIFEBOAT_TEST_FILE,
        HOME: this.folder,
        NODE_COMPILE_CACHE: this.#cache,
        ...options.environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
      detached: options.withoutTerminal === true,
      timeout: PATIENCE_MS,
      killSignal: "SIGKILL",
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    const ended = once(child, "close").then(() => {
      this.#running.delete(child);
      return { status: child.exitCode, out, err };
    });
    this.#running.set(child, ended);
    const until = async (stream: "stdout" | "stderr", pattern: RegExp): Promise<void> => {
      while (!pattern.test(stream === "stdout" ? out : err)) {
        assert.equal(child.exitCode ?? child.signalCode, null, `${line} ended before it said ${pattern}: ${err}`);
        await Promise.race([once(child[stream], "data"), ended]);
      }
    };
    const said = (pattern: RegExp): Promise<void> => until("stderr", pattern);
    const printed = (pattern: RegExp): Promise<void> => until("stdout", pattern);
    return { child, said, printed, ended };
  }

  /** Runs a command to its end, whatever that is. */
  run(line: string, options: CallOptions = {}): Promise<Ran> {
    return this.start(line, options).ended;
  }

  /** Runs a command that must end with `status`, and returns what it said. */
  async expect(status: number, line: string, options: CallOptions = {}): Promise<Ran> {
    const ran = await this.run(line, options);
    assert.equal(ran.status, status, `lifeboat ${line}\n${ran.out}${ran.err}`);
    return ran;
  }

  /** Runs a command with --json that must end with `status`; its result. Every line of stderr must be JSON too. */
  async json(line: string, options: CallOptions & { readonly status?: number } = {}): Promise<unknown> {
    const ran = await this.expect(options.status ?? 0, `${line} --json`, options);
    for (const each of ran.err.split("\n").filter((text) => text !== "")) JSON.parse(each);
    return JSON.parse(ran.out);
  }

  /** Kills what is still running, and waits until it is gone. */
  async end(): Promise<void> {
    const running = [...this.#running];
    for (const [child] of running) child.kill("SIGKILL");
    await Promise.all(running.map(([, ended]) => ended));
  }
}
