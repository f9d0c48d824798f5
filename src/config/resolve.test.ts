import assert from "node:assert/strict";
import { test } from "node:test";
import { POOLER_CONSOLE_ROLE } from "../pooler/console.ts";
import { ROLES } from "../stack/stack.ts";
import { formatProblem } from "./problem.ts";
import { type ConfigSources, configOf, resolveSettings } from "./resolve.ts";
import { SETTING_ROWS } from "./schema.ts";
import { environmentOf, flagOf, type Place } from "./setting.ts";
import { readConfigText } from "./yaml-file.ts";

const ALICE: Place = {
  uid: 1000,
  home: "/home/alice",
  stateHome: "/home/alice/.local/state",
  dataHome: "/home/alice/.local/share",
  configHome: "/home/alice/.config",
};

function sources(given: {
  readonly yaml?: string;
  readonly environment?: Record<string, string>;
  readonly flags?: Record<string, string>;
  readonly uid?: number;
}): ConfigSources {
  return {
    file:
      given.yaml === undefined
        ? undefined
        : { ...readConfigText(given.yaml, "lifeboat.yaml"), folder: "/etc/lifeboat" },
    environment: given.environment ?? {},
    flags: given.flags ?? {},
    place: { ...ALICE, uid: given.uid ?? ALICE.uid },
    workingFolder: "/home/alice/work",
  };
}

function problemsOf(given: Parameters<typeof sources>[0]): readonly string[] {
  return resolveSettings(sources(given)).problems.map(formatProblem);
}

function row(given: Parameters<typeof sources>[0], path: string) {
  const found = resolveSettings(sources(given)).rows.find((each) => each.path === path);
  assert.ok(found);
  return found;
}

test("nothing set: every setting has its documented default, by user", () => {
  const { rows, problems } = resolveSettings(sources({}));
  assert.deepEqual(problems, []);
  const config = configOf(rows);
  assert.equal(config.server.port, 5432);
  assert.equal(config.server.connectTimeout, 10_000);
  assert.equal(config.server.tls, undefined);
  assert.equal(config.vault.path, "/home/alice/.local/share/lifeboat/vault");
  assert.equal(config.folders.spool, "/home/alice/.local/state/lifeboat/spool");
  const root = configOf(resolveSettings(sources({ uid: 0 })).rows);
  assert.equal(root.vault.path, "/var/backups/lifeboat");
  assert.equal(root.folders.state, "/var/lib/lifeboat");
});

test("a flag goes before the environment, the environment before the file, and the value knows which it was", () => {
  const yaml = "server:\n  port: 1111\n";
  const environment = { LIFEBOAT_SERVER_PORT: "2222" };
  const flags = { "server.port": "3333" };
  const all = row({ yaml, environment, flags }, "server.port");
  assert.equal(all.value, 3333);
  assert.deepEqual(all.source, { kind: "flag", where: "--server-port" });
  const two = row({ yaml, environment }, "server.port");
  assert.equal(two.value, 2222);
  assert.deepEqual(two.source, { kind: "environment", where: "LIFEBOAT_SERVER_PORT" });
  const one = row({ yaml }, "server.port");
  assert.equal(one.value, 1111);
  assert.deepEqual(one.source, { kind: "file", where: "lifeboat.yaml:2:9" });
});

test("an empty variable counts as not set", () => {
  assert.equal(row({ environment: { LIFEBOAT_SERVER_HOST: "" } }, "server.host").value, "localhost");
});

test("all problems are told at once, by path and place, also of a value that a flag overrides", () => {
  const yaml = [
    "server:",
    "  port: 70000",
    "  hots: db",
    "vault:",
    "  compression: 3",
    "backup:",
    "  maxRate: 10M",
  ].join("\n");
  const given = { yaml, environment: { LIFEBOAT_RESTORE_BOOT_TIMEOUT: "soon" }, flags: { "server.port": "5433" } };
  assert.deepEqual(problemsOf(given), [
    "lifeboat.yaml:3:3: server.hots is not a setting; did you mean server.host?",
    "lifeboat.yaml:5:3: vault.compression is not a setting; vault has path, encryption, passphraseFile, passphraseCommand, recoveryKeyFile, identityFile",
    'lifeboat.yaml:2:9: server.port must be a port from 1 to 65535, is "70000"',
    'lifeboat.yaml:7:12: backup.maxRate must be a size with its unit from 32KiB to 1GiB, for example 64MiB, is "10M"',
    'LIFEBOAT_RESTORE_BOOT_TIMEOUT: restore.bootTimeout must be a duration with its unit from 1s to 7d, for example 10s, is "soon"',
  ]);
});

test("an unknown variable of ours is a problem that names the nearest; other programs' variables are not", () => {
  assert.deepEqual(
    problemsOf({ environment: { LIFEBOAT_SERVER_HSOT: "x", LIFEBOAT_TEST_SEED: "1", SERVER_HOST: "y" } }),
    ["LIFEBOAT_SERVER_HSOT: environment has no such variable; did you mean LIFEBOAT_SERVER_HOST?"],
  );
});

test("relative paths start at the file's folder in the file and at the working folder elsewhere; ~ is the home folder", () => {
  assert.equal(row({ yaml: "vault: {path: backups}" }, "vault.path").value, "/etc/lifeboat/backups");
  assert.equal(row({ flags: { "vault.path": "../backups" } }, "vault.path").value, "/home/alice/backups");
  assert.equal(row({ yaml: "vault: {path: ~/backups}" }, "vault.path").value, "/home/alice/backups");
});

test("a password comes from the environment, PostgreSQL's own variable included, and is shown as stars", () => {
  const given = row({ environment: { PGPASSWORD: "hunter2" } }, "server.password");
  assert.equal(given.value, "hunter2");
  assert.equal(given.shown, "********");
  assert.deepEqual(given.source, { kind: "environment", where: "PGPASSWORD" });
});

test("a password in the file is a problem that does not repeat it", () => {
  const [problem] = problemsOf({ yaml: "server:\n  password: hunter2\n" });
  assert.equal(
    problem,
    "lifeboat.yaml:2:13: server.password is a secret that others could read here; use passwordFile, passwordCommand or LIFEBOAT_SERVER_PASSWORD",
  );
  for (const line of problemsOf({ yaml: 'server: {password: "hunter2\\u0007"}' })) assert.doesNotMatch(line, /hunter2/);
});

test("of two ways to the same secret in one source is a mistake; a stronger source overrides", () => {
  const yaml = "vault:\n  passphraseFile: /run/secret\n  passphraseCommand: pass show vault\n";
  assert.deepEqual(problemsOf({ yaml }), [
    "lifeboat.yaml:3:22: vault.passphraseCommand cannot be used together with vault.passphraseFile: give one of them",
  ]);
  const flags = { "vault.recoveryKeyFile": "/root/key" };
  const { rows, problems } = resolveSettings(sources({ yaml: "vault: {passphraseFile: /run/secret}", flags }));
  assert.deepEqual(problems, []);
  const { vault } = configOf(rows);
  assert.equal(vault.recoveryKeyFile, "/root/key");
  assert.equal(vault.passphraseFile, undefined);
  assert.equal(rows.find((each) => each.path === "vault.passphraseFile")?.overriddenBy, "vault.recoveryKeyFile");
});

test("whatever opens the vault by the stronger source is used, an identity file like the others", () => {
  const ways = ["passphraseFile", "passphraseCommand", "recoveryKeyFile", "identityFile"] as const;
  for (const weak of ways) {
    for (const strong of ways.filter((way) => way !== weak)) {
      const flags = { [`vault.${strong}`]: "/run/given" };
      const { rows, problems } = resolveSettings(sources({ yaml: `vault: {${weak}: /run/lost}`, flags }));
      const { vault } = configOf(rows);
      assert.deepEqual([problems, vault[strong], vault[weak]], [[], "/run/given", undefined], `${strong} over ${weak}`);
    }
  }
});

test("every setting's default is accepted by its own kind, and flag and variable names are unique", () => {
  const base = { folder: "/", home: "/" };
  for (const { path, setting } of SETTING_ROWS) {
    if (setting.fallback.kind !== "value") continue;
    const text = setting.kind.format(setting.fallback.value as never);
    assert.deepEqual(setting.kind.parse(text, base), setting.fallback.value, path);
  }
  assert.equal(new Set(SETTING_ROWS.map((each) => flagOf(each.path))).size, SETTING_ROWS.length);
  assert.equal(new Set(SETTING_ROWS.map((each) => environmentOf(each.path))).size, SETTING_ROWS.length);
});

test("a webhook that cannot be told is refused without showing what may be a secret of it", () => {
  const asked = (address: string) => resolveSettings(sources({ yaml: `failover: {webhook: "${address}"}` }));
  const [problem] = asked("https://pager:hunter2@hooks.example.com/x").problems;
  assert.match(problem?.message ?? "", /^must be an address such as .* is \*{8}$/);
  const { rows, problems } = asked("https://hooks.example.com/T0/TOKEN");
  assert.deepEqual(problems, []);
  const row = rows.find((each) => each.path === "failover.webhook");
  assert.deepEqual([row?.value, row?.shown], ["https://hooks.example.com/T0/TOKEN", "https://hooks.example.com/…"]);
});

test("a role of the stack's own, or of PostgreSQL's, is not the application's, and the pooler's console is no database", () => {
  const environment = (role: string) => ({ LIFEBOAT_STACK_APPLICATION_ROLE: role });
  for (const taken of [...Object.values(ROLES), POOLER_CONSOLE_ROLE, "pg_monitor"]) {
    const [problem = "", ...more] = problemsOf({ environment: environment(taken) });
    assert.match(problem, /stack\.applicationRole.* must be .*, and none of postgres, replicator, /, taken);
    assert.deepEqual(more, []);
  }
  for (const free of ["buywhere", "postgres_app", "pgadmin", "lifeboat_app"]) {
    assert.deepEqual(problemsOf({ environment: environment(free) }), [], free);
  }
  assert.equal(problemsOf({ yaml: "stack: { database: pgbouncer }" }).length, 1);
  assert.deepEqual(problemsOf({ yaml: "stack: { database: postgres }" }), []);
});
