import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemFiles } from "./files.ts";
import { type Processes, type ProcessUser, type RunRequest, systemProcesses } from "./processes.ts";
import { currentUid, ensureReachable, findServerUser } from "./run-as.ts";

const TIMEOUT_MS = 10_000;

/** A machine with these users, on which useradd does what `useradd` says. */
function machine(users: Record<string, number>, useradd: "makes" | "fails" | "missing" = "missing") {
  const ran: string[] = [];
  const run = async (request: RunRequest) => {
    ran.push(request.command);
    if (request.command === "id") {
      const uid = users[request.args.at(-1) ?? ""];
      return answer(uid === undefined ? 1 : 0, uid === undefined ? "" : `${uid}\n`);
    }
    if (useradd === "missing") {
      throw new LifeboatError("platform.process-not-started", { message: "cannot start useradd", remedy: "" });
    }
    if (useradd === "makes") users["lifeboat"] = 999;
    return answer(useradd === "makes" ? 0 : 1, "", "cannot lock /etc/passwd");
  };
  const processes: Processes = { ...systemProcesses, run };
  return { processes, ran };
}

function answer(status: number, stdout: string, stderr = "") {
  return { exit: { kind: "exited", status } as const, stdout, stderr, truncated: false };
}

test("not root: there is no user to choose, and nothing is asked", async () => {
  const { processes, ran } = machine({ lifeboat: 5 });
  assert.equal(await findServerUser(processes, { uid: 1000, name: "anybody" }), undefined);
  assert.deepEqual(ran, []);
});

test("root: a named user wins, then lifeboat, then postgres", async () => {
  const users = { lifeboat: 5, postgres: 6, own: 7 };
  assert.deepEqual(await findServerUser(machine(users).processes, { uid: 0, name: "own" }), {
    name: "own",
    uid: 7,
    gid: 7,
  });
  assert.equal((await findServerUser(machine(users).processes, { uid: 0 }))?.name, "lifeboat");
  assert.equal((await findServerUser(machine({ postgres: 6 }).processes, { uid: 0 }))?.name, "postgres");
});

test("root, no user there: lifeboat is made", async () => {
  const { processes, ran } = machine({}, "makes");
  assert.deepEqual(await findServerUser(processes, { uid: 0 }), { name: "lifeboat", uid: 999, gid: 999 });
  assert.ok(ran.includes("useradd"));
});

test("root, and no user to be had: the reason is told", async () => {
  for (const [useradd, reason] of [
    ["fails", /cannot lock/],
    ["missing", /no useradd/],
  ] as const) {
    await assert.rejects(findServerUser(machine({}, useradd).processes, { uid: 0 }), (error) => {
      assert.ok(isLifeboatError(error, "platform.user-missing"));
      assert.match(error.message, reason);
      return true;
    });
  }
});

test("root: a named user that is unknown or root itself is refused", async () => {
  const { processes } = machine({ root: 0 });
  await assert.rejects(findServerUser(processes, { uid: 0, name: "nobody-here" }), /nobody-here does not exist/);
  await assert.rejects(findServerUser(processes, { uid: 0, name: "root" }), /is root/);
});

test("programs that the user cannot reach are copied once, whole, to where it can", async () => {
  await withHidden(async ({ hidden, cache, user }) => {
    const request = { folder: hidden, program: "bin/tool", user, cacheFolder: cache, unique: "a" };
    const ports = { files: systemFiles, processes: systemProcesses };
    const [first, second] = await Promise.all([
      ensureReachable(ports, request),
      ensureReachable(ports, { ...request, unique: "b" }),
    ]);
    if (user === undefined) {
      assert.equal(first, hidden);
      return;
    }
    assert.equal(first, second);
    assert.equal(path.dirname(first), cache);
    const ran = await systemProcesses.run({
      command: path.join(first, "bin/tool"),
      args: [],
      user,
      timeoutMs: TIMEOUT_MS,
    });
    assert.equal(ran.stdout, "1.0 beside\n");
    const before = await stat(first);
    assert.equal(await ensureReachable(ports, request), first);
    assert.equal((await stat(first)).ino, before.ino);
    assert.deepEqual(
      (await systemFiles.list(cache)).map((entry) => entry.name),
      [path.basename(first)],
    );
  });
});

test("programs that cannot be executed anywhere are refused", async () => {
  await withHidden(async ({ hidden, cache, user }) => {
    await writeFile(path.join(hidden, "bin/tool"), "#!/bin/sh\nexit 1\n");
    await assert.rejects(
      ensureReachable(
        { files: systemFiles, processes: systemProcesses },
        { folder: hidden, program: "bin/tool", user, cacheFolder: cache, unique: "a" },
      ),
      (error) => isLifeboatError(error, "platform.not-reachable"),
    );
  });
});

test("a copy that fails names the program that failed", async () => {
  await withHidden(async ({ hidden, cache, user }) => {
    const failing: Processes = {
      ...systemProcesses,
      run: async (request) => answer(1, "", request.command === "cp" ? "no space" : ""),
    };
    await assert.rejects(
      ensureReachable(
        { files: systemFiles, processes: failing },
        { folder: hidden, program: "bin/tool", user, cacheFolder: cache, unique: "a" },
      ),
      (error) => isLifeboatError(error, "platform.process-failed") && error.message.includes("no space"),
    );
    assert.deepEqual(await systemFiles.list(cache), []);
  });
});

type Hidden = { readonly hidden: string; readonly cache: string; readonly user: ProcessUser | undefined };

async function withHidden(body: (hidden: Hidden) => Promise<void>): Promise<void> {
  const root = await mkdtemp(path.join(tmpdir(), "lifeboat-run-as-"));
  try {
    await chmod(root, 0o755);
    const hidden = path.join(root, "closed", "tools");
    await mkdir(path.join(hidden, "bin"), { recursive: true });
    await writeFile(path.join(hidden, "beside"), "beside\n", { mode: 0o600 });
    await writeFile(path.join(hidden, "bin/tool"), '#!/bin/sh\necho "1.0 $(cat "$(dirname "$0")/../beside")"\n', {
      mode: 0o700,
    });
    await chmod(path.join(root, "closed"), 0o700);
    const user = await findServerUser(systemProcesses, { uid: currentUid() });
    await body({ hidden, cache: path.join(root, "cache", "programs"), user });
  } finally {
    await rm(root, { recursive: true });
  }
}
