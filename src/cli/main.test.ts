import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { withListener } from "../../test/support/listener.ts";

const MAIN = path.join(import.meta.dirname, "main.ts");
let folder = "";
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "lifeboat-main-"));
});
after(() => rmSync(folder, { recursive: true }));

function environment(): Record<string, string> {
  const cache = process.env["NODE_COMPILE_CACHE"] ?? path.join(folder, "cache");
  return { PATH: process.env["PATH"] ?? "", HOME: folder, NODE_COMPILE_CACHE: cache };
}

function start(args: readonly string[], more: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { ...environment(), ...more },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; signal: string | null; stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (data) => {
    stderr += data;
  });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, stderr })));
}

function fifo(name: string): string {
  const file = path.join(folder, name);
  execFileSync("mkfifo", [file]);
  return file;
}

test("the version is that of the package", () => {
  const text = execFileSync(process.execPath, [MAIN, "--version"], { encoding: "utf8", env: environment() });
  const manifest = JSON.parse(readFileSync(path.join(import.meta.dirname, "../../package.json"), "utf8"));
  assert.equal(text, `${manifest.version}\n`);
});

test("what is set for psql does not reach our sessions, but for the password", async () => {
  const opened: string[] = [];
  await withListener(
    (socket) => socket.once("data", (data) => opened.push(data.toString("latin1")) && socket.destroy()),
    async (port) => {
      const args = `doctor --server-host 127.0.0.1 --server-port ${port} --server-user u --server-tls disable --vault-path v`;
      const set = { PGOPTIONS: "-c lock_timeout=7", PGSSLNEGOTIATION: "direct", PGREPLICATION: "x", PGPASSWORD: "p" };
      const { stderr } = await ended(start(args.split(" "), set));
      assert.ok(
        opened.some((each) => each.includes("search_path=pg_catalog")),
        stderr,
      );
    },
  );
  assert.deepEqual(
    opened.filter((each) => each.includes("lock_timeout=7")),
    [],
  );
});

test("the first signal lets the command end by itself, with status 130", async () => {
  const started = fifo("started");
  const command = `echo $$ > ${started}; exec sleep 60`;
  const args = ["--vault-path", path.join(folder, "v"), "--vault-passphrase-command", command];
  const child = start(["vault", "init", ...args]);
  const result = ended(child);
  const handle = await open(started, "r");
  const sleeper = Number(await handle.readFile("utf8"));
  await handle.close();
  child.kill("SIGTERM");
  const { code, stderr } = await result;
  assert.equal(code, 130);
  assert.match(stderr, /SIGTERM: cleaning up/);
  assert.match(stderr, /code: platform\.aborted/);
  assert.throws(() => process.kill(sleeper, 0), /ESRCH/);
});

test("the second signal ends the process although a file hangs", async () => {
  // A pipe that is open for writing and never written hangs its reader in the kernel, as a dead network disk does.
  const hangs = fifo("hangs");
  const child = start(["vault", "init", "--vault-path", "/nonexistent/v", "--vault-passphrase-file", hangs]);
  const result = ended(child);
  const writer = await open(hangs, "w");
  const told = new Promise((resolve) => child.stderr?.once("data", resolve));
  child.kill("SIGINT");
  await told;
  child.kill("SIGINT");
  assert.equal((await result).signal, "SIGINT");
  await writer.close();
});

test("a reader that goes away is no failure", () => {
  const line = `${process.execPath} ${MAIN} config explain | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const printed = execFileSync("bash", ["-c", line], { encoding: "utf8", cwd: folder, env: environment() });
  assert.match(printed, /\n0\n$/);
});

test("a command that fails ends with its status though nobody reads what it says", () => {
  const line = `${process.execPath} ${MAIN} ps | true; echo "\${PIPESTATUS[0]}"`;
  const printed = execFileSync("bash", ["-c", line], { encoding: "utf8", cwd: folder, env: environment() });
  assert.equal(printed, "6\n");
});

test("a result that cannot be written is no success, and a failure stays the failure that it is", () => {
  for (const [command, status, told] of [
    ["config explain", 6, /^the result could not be written: ENOSPC/],
    ["status --quiet", 5, /the result could not be written: ENOSPC/],
  ] as const) {
    const line = `exec ${process.execPath} ${MAIN} ${command} >/dev/full`;
    const { status: code, stderr } = spawnSync("bash", ["-c", line], {
      encoding: "utf8",
      cwd: folder,
      env: environment(),
    });
    assert.equal(code, status, command);
    assert.match(stderr, told);
  }
});

test("a working folder that was removed is the operator's to leave, and no bug", () => {
  const gone = path.join(folder, "gone");
  const line = `mkdir ${gone} && cd ${gone} && rmdir ${gone} && exec ${process.execPath} ${MAIN} backups`;
  const { status, stderr } = spawnSync("sh", ["-c", line], { encoding: "utf8", env: environment() });
  assert.equal(status, 2);
  assert.match(stderr, /^error: the working folder is no longer there/);
});

test("a home that is not absolute is none, and a user whom the system does not know needs none", () => {
  // Of root nothing lies in a home. The user 54321 is nobody's.
  const uid = process.getuid?.() === 0 ? 54_321 : undefined;
  for (const home of [{ HOME: "" }, { HOME: "relative" }, {}]) {
    const { PATH = "" } = environment();
    const options = {
      encoding: "utf8",
      cwd: "/",
      env: { PATH, ...home },
      ...(uid === undefined ? {} : { uid }),
    } as const;
    const told = JSON.parse(execFileSync(process.execPath, [MAIN, "config", "explain", "--json"], options));
    const settings: readonly { readonly path: string; readonly value: string }[] = told.settings;
    const state = settings.find((setting) => setting.path === "folders.state")?.value ?? "";
    assert.ok(path.isAbsolute(state) && path.basename(state) === "lifeboat", state);
  }
});

test("all of a long result arrives through a pipe", () => {
  const text = execFileSync(process.execPath, [MAIN, "config", "explain", "--json"], {
    encoding: "utf8",
    cwd: folder,
    env: environment(),
  });
  assert.ok(JSON.parse(text).settings.length > 20);
});

test("a passphrase is asked for on the terminal, twice for a new vault, and is never shown", async () => {
  const vault = path.join(folder, "asked");
  const shown = await atTerminal(["vault", "init", "--vault-path", vault], ["hunter2", "hunter2"]);
  assert.match(shown, /Recovery key: /);
  assert.doesNotMatch(shown, /hunter2/);
  assert.match(await atTerminal(["backups", "--vault-path", vault], ["hunter2"]), /The vault has no backup yet\./);
});

test("Ctrl-C at a question ends the command and gives the terminal back", async () => {
  const shown = await atTerminal(["vault", "init", "--vault-path", path.join(folder, "never")], ["\u0003"]);
  assert.match(shown, /code: platform\.aborted/);
  assert.match(shown, /status 130/);
  assert.match(shown, / echo /);
});

/** Runs a command on a pseudo-terminal of its own; each answer is typed when a question is open. */
async function atTerminal(args: readonly string[], answers: readonly string[]): Promise<string> {
  const line = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(" ");
  const file = path.join(folder, "line.sh");
  writeFileSync(file, `${line}\necho "status $?"\nstty -a\n`);
  const child = spawn("script", ["-qec", `sh ${file}`, "/dev/null"], {
    cwd: folder,
    env: { ...environment(), TERM: "xterm" },
    stdio: ["pipe", "pipe", openSync("/dev/null", "w")],
  });
  let shown = "";
  let answered = 0;
  child.stdout?.on("data", (data) => {
    shown += data;
    const questions = shown.match(/(Passphrase of the vault|Once more)[^\r\n]*: /g) ?? [];
    while (answered < questions.length && answered < answers.length) {
      const answer = answers[answered] ?? "";
      child.stdin?.write(answer === "\u0003" ? answer : `${answer}\r`);
      answered += 1;
    }
  });
  await new Promise((resolve) => child.on("close", resolve));
  return shown;
}
