import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { runCli } from "./run.ts";

let folder = "";
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "lifeboat-completion-"));
  writeFileSync(path.join(folder, "lifeboat.bash"), await script("bash"));
  writeFileSync(path.join(folder, "shop.yaml"), "");
  mkdirSync(path.join(folder, "my vault"));
});
after(() => rmSync(folder, { recursive: true }));

async function script(shell: string): Promise<string> {
  const frame = recordedFrame();
  assert.equal(await runCli(["completion", shell], allVerbs(), frame), 0);
  return frame.stdout.written();
}

/** What bash offers for the last of the words, which may be empty. */
function offered(...words: readonly string[]): readonly string[] {
  const code = `source lifeboat.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_lifeboat
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const printed = execFileSync("bash", ["--norc", "-c", code, "bash", "lifeboat", ...words], {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return printed.split("\n").filter((line) => line !== "");
}

test("bash offers the commands, and the words of a group", () => {
  assert.deepEqual(offered("b"), ["backup", "backups"]);
  assert.deepEqual(offered("wal", ""), ["receive", "status", "get", "feed"]);
  assert.deepEqual(offered("--json", "vault", "c"), ["check"]);
  assert.deepEqual(offered("--config", "shop.yaml", "rest"), ["restore", "restart"]);
});

test("bash offers the options of the command, settings and global ones included", () => {
  assert.deepEqual(offered("restore", "--to"), ["--to", "--to-time", "--to-lsn", "--to-xid", "--to-name"]);
  assert.deepEqual(offered("backup", "--server-h"), ["--server-host"]);
  assert.deepEqual(offered("wal", "get", "x", "--js"), ["--json"]);
  assert.deepEqual(offered("backups", "--server-h"), []);
  assert.ok(!offered("backup", "--").includes("--server-password"));
});

test("bash offers the values of an option, after a space and after an equals sign", () => {
  assert.deepEqual(offered("demo", "--durability", ""), ["quorum", "async"]);
  assert.deepEqual(offered("wal", "get", "--mode", "st"), ["standby"]);
  assert.deepEqual(offered("wal", "get", "--mode", "=", "st"), ["standby"]);
  assert.deepEqual(offered("demo", "--pg", "=", ""), ["15", "16", "17", "18"]);
  assert.deepEqual(offered("backup", "--label", ""), []);
});

test("bash offers files and folders where paths are wanted", () => {
  assert.deepEqual(offered("restore", "--target", "my"), ["my vault"]);
  assert.deepEqual(offered("--config", "sh"), ["shop.yaml"]);
  assert.deepEqual(offered("backup", "--config", "sh"), ["shop.yaml"]);
});

test("bash offers the values of an argument", () => {
  assert.deepEqual(offered("completion", "z"), ["zsh"]);
  assert.deepEqual(offered("completion", "--json", "f"), ["fish"]);
  assert.deepEqual(offered("completion", "zsh", ""), []);
});

for (const shell of ["bash", "zsh", "fish"]) {
  test(`the script for ${shell} is what it was`, async () => {
    matchesGolden(`completion/lifeboat.${shell}`, await script(shell));
  });
}
