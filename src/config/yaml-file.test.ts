import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem } from "./problem.ts";
import { readConfigText } from "./yaml-file.ts";

function problemsOf(yaml: string): readonly string[] {
  return readConfigText(yaml, "lifeboat.yaml").problems.map(formatProblem);
}

test("a value keeps the text it was written with", () => {
  const { values } = readConfigText("server: {user: 0123, host: db.example, port: 5433, database: 'null'}", "f");
  assert.deepEqual(
    values.map((value) => value.text),
    ["0123", "db.example", "5433", "null"],
  );
});

test("an empty file, a comment and an empty section say nothing", () => {
  for (const yaml of ["", "# nothing\n", "server:\n", "{}"]) assert.deepEqual(problemsOf(yaml), [], yaml);
});

test("an unknown section names the nearest, or the setting of that name in its section", () => {
  assert.deepEqual(problemsOf("sever: {}\nreciever: {}\nbinDir: /opt\nzebra: 1\n"), [
    "lifeboat.yaml:1:1: sever is not a section; did you mean server?",
    "lifeboat.yaml:2:1: reciever is not a section; did you mean receiver?",
    "lifeboat.yaml:3:1: binDir is not a section; did you mean postgres.binDir?",
    "lifeboat.yaml:4:1: zebra is not a section; the sections are server, vault, folders, receiver, backup, retention, restore, proof, status, replication, stack, pooler, failover, postgres",
  ]);
});

test("a setting in the wrong section is pointed to the right one", () => {
  assert.deepEqual(problemsOf("server: {slot: x}"), [
    "lifeboat.yaml:1:10: server.slot is not a setting; did you mean receiver.slot?",
  ]);
});

test("a passphrase in the file is refused without repeating it", () => {
  assert.deepEqual(problemsOf("vault:\n  passphrase: hunter2\n"), [
    "lifeboat.yaml:2:3: vault.passphrase is not a setting: a passphrase is never written here; use passphraseFile or passphraseCommand",
  ]);
});

test("a value that is missing, a list, a section or an alias is a problem where it stands", () => {
  assert.deepEqual(problemsOf("server:\n  host:\n  port: [1]\n  user: {a: b}\n"), [
    "lifeboat.yaml:2:3: server.host has no value",
    "lifeboat.yaml:3:9: server.port must be a single value, is a list or a section",
    "lifeboat.yaml:4:9: server.user must be a single value, is a list or a section",
  ]);
  assert.deepEqual(problemsOf("server: {host: &h db, user: *h}"), [
    "lifeboat.yaml:1:29: server.user must be a single value, is an alias",
  ]);
});

test("broken YAML and a doubled key are told with line and column", () => {
  const [broken] = problemsOf('server:\n  host: "db\n');
  assert.match(broken ?? "", /^lifeboat\.yaml:\d+:\d+: file is not readable as YAML: /);
  const doubled = problemsOf("server: {port: 1, port: 2}");
  assert.equal(doubled.length, 1);
  assert.match(doubled[0] ?? "", /^lifeboat\.yaml:1:\d+: file is not readable as YAML: map keys must be unique/);
});

test("of a file that is wrong everywhere the first errors are told", () => {
  const told = problemsOf('"'.repeat(500)).filter((problem) => problem.includes("not readable as YAML"));
  assert.equal(told.length, 20);
});

test("a file that is a list or a word is told what it must hold", () => {
  assert.deepEqual(problemsOf("- server"), ["lifeboat.yaml:1:1: file must hold sections such as `server:`"]);
  assert.deepEqual(problemsOf("server: db"), [
    "lifeboat.yaml:1:9: server must hold settings such as `host:`, indented under it",
  ]);
});
