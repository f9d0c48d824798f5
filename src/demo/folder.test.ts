import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "../platform/clock.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { checkDemoSpace, type DemoFolder, makeDemoFolder, removeDemoFolder, removeLeftovers } from "./folder.ts";

const PORTS = {
  files: systemFiles,
  locks: systemLocks,
  processes: systemProcesses,
  clock: systemClock,
  random: systemRandom,
};

async function makeSandbox(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-demo-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, "state", "sandbox");
}

async function makeDemo(t: TestContext, sandbox: string, keep = false): Promise<DemoFolder> {
  const place = await makeDemoFolder(PORTS, { sandbox, keep });
  t.after(() => place.lock.release());
  return place;
}

test("the folders made for a demo let every user pass, whatever the umask is", async (t) => {
  const sandbox = await makeSandbox(t);
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const { folder } = await makeDemo(t, sandbox);
  for (const each of [folder, sandbox, path.dirname(sandbox)]) assert.equal((await stat(each)).mode & 0o777, 0o755);
});

test("sockets lie inside the folder where their path is short enough, else below /tmp", async (t) => {
  const sandbox = await makeSandbox(t);
  const short = await makeDemo(t, sandbox);
  assert.equal(short.sockets, path.join(short.folder, "run"));
  const long = await makeDemo(t, path.join(sandbox, "a".repeat(80)));
  assert.match(long.sockets, /^\/tmp\/lifeboat-demo-[0-9a-f]{8}$/);
});

test("what a demo left whose process is gone is removed; what runs, is kept or is not a demo's stays", async (t) => {
  const sandbox = await makeSandbox(t);
  const running = await makeDemo(t, sandbox);
  const kept = await makeDemo(t, sandbox, true);
  const dead = await makeDemo(t, sandbox);
  await mkdir(dead.primary);
  for (const place of [kept, dead]) place.lock.release();
  await mkdir(path.join(sandbox, "demo-unmarked"));
  await mkdir(path.join(sandbox, "demo-other"));
  await writeFile(path.join(sandbox, "demo-other", "lifeboat-demo.json"), '{"format":"another"}');
  assert.deepEqual(await removeLeftovers(PORTS, sandbox), [dead.folder]);
  const names = [running, kept].map((place) => path.basename(place.folder));
  assert.deepEqual(new Set(await readdir(sandbox)), new Set([...names, "demo-unmarked", "demo-other"]));
  assert.deepEqual(await removeLeftovers(PORTS, path.join(sandbox, "absent")), []);
});

test("a postmaster.pid whose number belongs to another process ends nothing", async (t) => {
  const sandbox = await makeSandbox(t);
  const dead = await makeDemo(t, sandbox);
  await mkdir(dead.primary);
  await writeFile(path.join(dead.primary, "postmaster.pid"), `${process.pid}\n`);
  dead.lock.release();
  assert.deepEqual(await removeLeftovers(PORTS, sandbox), [dead.folder]);
});

test("a demo's marker has nothing removed that lies elsewhere, and one that another user wrote not even its folder", async (t) => {
  const sandbox = await makeSandbox(t);
  const elsewhere = path.join(path.dirname(sandbox), "production");
  await mkdir(elsewhere, { recursive: true });
  const [ours, theirs] = ["demo-00000000", "demo-11111111"].map((name) => path.join(sandbox, name));
  assert.ok(ours !== undefined && theirs !== undefined);
  for (const folder of [ours, theirs]) {
    await mkdir(folder, { recursive: true });
    const marker = { format: "lifeboat-demo", version: 1, startedAt: "x", keep: false, sockets: elsewhere };
    await writeFile(path.join(folder, "lifeboat-demo.json"), JSON.stringify(marker));
  }
  const stat: Files["stat"] = async (file) => {
    const facts = await systemFiles.stat(file);
    return facts === undefined || file !== theirs ? facts : { ...facts, uid: facts.uid + 1 };
  };
  assert.deepEqual(await removeLeftovers({ ...PORTS, files: { ...systemFiles, stat } }, sandbox), [ours]);
  assert.deepEqual(await readdir(path.dirname(sandbox)), ["production", "sandbox"]);
  assert.deepEqual(await readdir(sandbox), [path.basename(theirs)]);
});

test("a folder without a demo's marker is not removed", async (t) => {
  const sandbox = await makeSandbox(t);
  const { folder } = await makeDemo(t, sandbox);
  await removeDemoFolder(systemFiles, { folder });
  await assert.rejects(stat(folder), { code: "ENOENT" });
  await mkdir(folder);
  await assert.rejects(removeDemoFolder(systemFiles, { folder }), { code: "platform.assertion-failed" });
  assert.ok((await stat(folder)).isDirectory());
});

test("a disk that cannot hold a demo is refused before anything is made", async () => {
  const files: Files = { ...systemFiles, space: async () => ({ freeBytes: 1e9, totalBytes: 2e9, device: 1 }) };
  await assert.rejects(checkDemoSpace(files, "/srv", 300e6), { code: "demo.no-space" });
  await checkDemoSpace(systemFiles, tmpdir(), 1);
});
