/** The launcher `bin/lifeboat`, tried as an installed package with Node.js replaced by a script. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

const BIN = path.resolve(import.meta.dirname, "../../bin");
let folder = "";
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "lifeboat-launcher-"));
  mkdirSync(path.join(folder, "bin"));
  mkdirSync(path.join(folder, "fake"));
  for (const name of ["lifeboat", "start.cjs"]) copyFileSync(path.join(BIN, name), path.join(folder, "bin", name));
});
after(() => rmSync(folder, { recursive: true }));

/** Runs the launcher with a Node.js of `version` that does `body`. */
function launch(body: string, args: readonly string[], environment: Record<string, string> = {}) {
  const node = path.join(folder, "fake/node");
  writeFileSync(node, `#!/bin/sh\n${body}\n`);
  chmodSync(node, 0o755);
  const { status, stdout, stderr } = spawnSync("/bin/sh", [path.join(folder, "bin/lifeboat"), ...args], {
    encoding: "utf8",
    env: { PATH: `${path.join(folder, "fake")}:/usr/bin:/bin`, ...environment },
  });
  return { status, stdout, stderr };
}

const GET = ["wal", "get", "000000010000000000000003", "/x"];
const STANDBY = [...GET, "--mode", "standby"];

test("rule B2: only the program itself can say that WAL is not in the archive", () => {
  assert.equal(launch("exit 0", GET).status, 0);
  assert.equal(launch('exit "$LIFEBOAT_ABSENT_STATUS"', GET).status, 1);
  assert.equal(launch('exit "$LIFEBOAT_ABSENT_STATUS"', STANDBY).status, 1);
});

test("rule B2: a Node.js that fails, or that cannot load the program, stops a restore and lets a standby ask again", () => {
  for (const status of [1, 2, 70, 127, 200]) {
    assert.equal(launch(`exit ${status}`, GET).status, 200, String(status));
    assert.equal(launch(`exit ${status}`, STANDBY).status, 1, String(status));
    assert.equal(launch(`exit ${status}`, [...GET, "--mode=standby"]).status, 1, String(status));
  }
  assert.equal(launch("kill -KILL $$", GET).status, 200);
});

/** This Node.js, as if it were of another version. */
function nodeOf(version: string): string {
  const pretence = path.join(folder, "pretence.cjs");
  const parts = { version: `v${version}`, versions: { ...process.versions, node: version } };
  const lines = Object.entries(parts).map(
    ([name, value]) => `Object.defineProperty(process, "${name}", { value: ${JSON.stringify(value)} });`,
  );
  writeFileSync(pretence, lines.join("\n"));
  return `exec "${process.execPath}" --require "${pretence}" "$@"`;
}

test("rule B2: no suitable Node.js stops a restore, also with options before the words, and is status 2 otherwise", () => {
  const old = (args: readonly string[]) => launch(nodeOf("20.1.0"), args);
  assert.equal(old(GET).status, 200);
  assert.equal(old(["--config", "/etc/x.yaml", ...GET]).status, 200);
  assert.equal(old(STANDBY).status, 1);
  const backup = old(["backup"]);
  assert.equal(backup.status, 2);
  assert.match(backup.stderr, /needs Node\.js 24\.7 or newer, found v20\.1\.0/);
  const tools = path.join(folder, "tools");
  mkdirSync(tools);
  for (const name of ["dirname", "readlink"]) symlinkSync(`/usr/bin/${name}`, path.join(tools, name));
  const none = (args: readonly string[]) => launch("", args, { PATH: tools });
  assert.match(none(["backup"]).stderr, /needs Node\.js 24\.7 or newer, found none/);
  assert.equal(none(GET).status, 200);
});

test("the program of a package is loaded by a Node.js that is new enough, and what is experimental is not told", () => {
  mkdirSync(path.join(folder, "dist"), { recursive: true });
  const program =
    'process.emitWarning("old", "DeprecationWarning"); process.emitWarning("new", "ExperimentalWarning");';
  writeFileSync(path.join(folder, "dist/lifeboat.js"), `${program} console.log(process.argv.slice(2).join(" "));`);
  for (const version of ["24.7.0", "25.0.0"]) {
    const { status, stdout, stderr } = launch(nodeOf(version), ["points", "-v"]);
    assert.deepEqual([status, stdout], [0, "points -v\n"], stderr);
    assert.match(stderr, /DeprecationWarning: old/);
    assert.doesNotMatch(stderr, /new/);
  }
});

test("another command's status is passed on as it is", () => {
  assert.equal(launch("exit 4", ["points"]).status, 4);
  assert.equal(launch('exit "${LIFEBOAT_ABSENT_STATUS:-3}"', ["wal", "status"]).status, 3);
});
