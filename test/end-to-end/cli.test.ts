/**
 * The command line against a real server, in the order in which somebody meets it: a vault, a backup, a receiver, a
 * restore, and what goes wrong in between. Every command is a process of its own.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate } from "node:fs/promises";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { openQuery } from "../../src/postgres/query-connection.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { CommandLine } from "../support/command-line.ts";
import { eventually } from "../support/receivers.ts";
import { SUPERUSER, startServer, type TestServer } from "../support/servers.ts";
import { cheapenPassphrase } from "../support/vaults.ts";

let server: TestServer;
let cli: CommandLine;
let folder = "";

const QUERY_TIMEOUT_MS = 20_000;
const PASSWORD = "an honest password";

before(async () => {
  server = await startServer({ major: 16, name: "cli", settings: { wal_keep_size: "0" } });
  await server.query(`CREATE ROLE lifeboat LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
  await server.query("CREATE TABLE ledger (id int PRIMARY KEY, what text)");
  folder = await mkdtemp(path.join(memoryFolder(), "lifeboat-cli-"));
  // A server of another user is restored below it.
  await chmod(folder, 0o755);
  cli = new CommandLine(path.join(folder, "conf"));
  cli.write("password", `${PASSWORD}\n`);
  cli.write("passphrase", "battery staple\n");
  cli.write(
    "lifeboat.yaml",
    `server:
  host: 127.0.0.1
  port: ${server.server.setup.port}
  passwordFile: password
vault:
  path: ../vault
  passphraseFile: passphrase
folders:
  spool: ../spool
`,
  );
});

// What one test left running would fail those that come after it.
afterEach(() => cli.end());

after(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Backups = { readonly backups: readonly { readonly backupId: string; readonly label: string }[] };
type Booted = {
  readonly plan: { readonly backupId: string };
  readonly server: { readonly host: string; readonly port: number; readonly pid: number };
};

async function labels(): Promise<readonly string[]> {
  const { backups } = (await cli.json("backups")) as Backups;
  return backups.map((each) => each.label);
}

let written = 0;
async function write(what: string): Promise<void> {
  written += 1;
  await server.query("INSERT INTO ledger VALUES ($1, $2)", [written, what]);
}

/** Rows of a restored server, over TCP as a client would ask. */
async function rowsOf(booted: Booted["server"]): Promise<readonly string[]> {
  const { name: user, password } = SUPERUSER;
  const { host, port } = booted;
  const at = { host, port, user, password, database: "postgres", applicationName: "test" } as const;
  const session = await openQuery(
    { ...at, tls: { mode: "disable" }, namesOf: "database", connectTimeoutMs: QUERY_TIMEOUT_MS },
    {},
  );
  const rows = await session.query("SELECT what FROM ledger ORDER BY id", [], { timeoutMs: QUERY_TIMEOUT_MS });
  // What was restored was synced a moment ago: not a thousand files once more, one after another.
  const [method] = await session.query("SHOW recovery_init_sync_method", [], { timeoutMs: QUERY_TIMEOUT_MS });
  assert.equal(method?.["recovery_init_sync_method"], "syncfs");
  // The server that it is a copy of lives, and may have an archive and subscriptions.
  const apart =
    "SELECT name, setting FROM pg_settings WHERE name IN ('archive_mode', 'max_logical_replication_workers')";
  const settings = await session.query(`${apart} ORDER BY name`, [], { timeoutMs: QUERY_TIMEOUT_MS });
  assert.deepEqual(
    settings.map(({ setting }) => setting),
    ["off", "0"],
  );
  await session.close();
  return rows.map((row) => String(row["what"]));
}

/** Restores, boots, reads the rows, stops the server and takes everything away. */
async function rowsAfter(options: string): Promise<readonly string[]> {
  const target = path.join(folder, "booted");
  const restored = (await cli.json(`restore --target ${target} --boot ${options}`)) as Booted;
  try {
    return await rowsOf(restored.server);
  } finally {
    process.kill(restored.server.pid, "SIGQUIT");
    await eventually("the restored server ends", async () => {
      const facts = await stat(path.join(target, "postmaster.pid")).catch(() => undefined);
      return facts === undefined;
    });
    await rm(target, { recursive: true });
  }
}

async function slots(): Promise<string> {
  return server.value("SELECT coalesce(string_agg(slot_name, ','), '') FROM pg_replication_slots");
}

test("before there is a vault, each command says that there is none, and makes none", async () => {
  for (const line of ["backups", "backup", "wal receive"]) {
    const { err } = await cli.expect(4, line);
    assert.match(err, /there is no folder .*vault\n.*vault init.*\ncode: vault\.not-a-vault/);
  }
  assert.equal(await stat(path.join(folder, "vault")).catch(() => "absent"), "absent");
});

test("a vault is made once, in a folder of its own, and its recovery key opens it", async () => {
  const made = (await cli.json("vault init")) as { readonly recoveryKey: string };
  await cli.expect(3, "vault init");
  const { err } = await cli.expect(3, "vault init --vault-path .");
  assert.match(err, /conf is not empty: it holds .*\n.*\ncode: vault\.folder-not-empty/);
  cli.write("key", `${made.recoveryKey}\n`);
  const { backups } = (await cli.json("backups --vault-recovery-key-file key")) as Backups;
  assert.deepEqual(backups, []);
  await cheapenPassphrase(path.join(folder, "vault"), "battery staple");
});

test("a wrong passphrase is named, one that others may read is warned of, and --quiet keeps the warning back", async () => {
  cli.write("wrong", "battery stable\n");
  const wrong = await cli.expect(3, "backups --vault-passphrase-file wrong");
  assert.match(wrong.err, /the passphrase opens none .*\n.*recovery key.*\ncode: vault\.wrong-key/);
  await chmod(cli.write("open", "battery staple\n"), 0o644);
  const open = await cli.expect(0, "backups", { environment: { LIFEBOAT_VAULT_PASSPHRASE_FILE: "open" } });
  assert.match(open.err, /warning: .*others may read it \(mode 644\): chmod 600/);
  const quiet = await cli.expect(0, "backups --quiet --vault-passphrase-file open");
  assert.deepEqual(quiet, { status: 0, out: "The vault has no backup yet.\n", err: "" });
});

test("a server that refuses or is not there is named with what to do, and nothing of the attempt is left", async () => {
  const password = await cli.expect(3, "backup", { environment: { PGPASSWORD: "a wrong one" } });
  assert.match(password.err, /password authentication failed.*\nremedy: Check the password of role "lifeboat"/);
  const role = await cli.expect(3, "backup --server-user nobody");
  assert.match(role.err, /code: postgres\.login-refused/);
  const gone = await cli.expect(6, "backup --server-port 1");
  assert.match(gone.err, /cannot reach the server at 127\.0\.0\.1:1: ECONNREFUSED\n.*\ncode: postgres\.unreachable/);
  assert.deepEqual(await labels(), []);
  await cli.expect(4, "points");
  assert.equal(await slots(), "");
});

type Checks = {
  readonly fit: boolean;
  readonly checks: readonly { readonly id: string; readonly level: string; readonly remedy?: string }[];
};

test("doctor says what is missing with the statement that mends it, and goes on when there is no server", async () => {
  const { fit, checks } = (await cli.json("doctor", { status: 3 })) as Checks;
  assert.equal(fit, false);
  // Servers of tests run without it.
  assert.deepEqual(
    checks.filter(({ level }) => level === "problem").map(({ id, remedy }) => [id, remedy]),
    [["fsync", "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();"]],
  );
  const lacking = checks.filter((each) => each.level !== "ok");
  assert.ok(lacking.some(({ remedy }) => /GRANT .*pg_read_server_files.* TO "lifeboat"/.test(remedy ?? "")));
  assert.ok(checks.some(({ id, level }) => id === "replication-login" && level === "ok"));
  const gone = (await cli.json("doctor --server-port 1", { status: 3 })) as Checks;
  assert.equal(gone.fit, false);
  assert.equal(gone.checks.find(({ id }) => id === "login")?.level, "unknown");
  assert.equal(gone.checks.find(({ id }) => id === "vault")?.level, "warning");
});

type Status = {
  readonly faults: readonly { readonly message: string; readonly remedy: string }[];
  readonly receiver: { readonly kind: string };
  readonly vault: { readonly newestBackup?: { readonly label: string } };
};

async function wrongNow(options = ""): Promise<readonly string[]> {
  const { faults } = (await cli.json(`status ${options}`, { status: 5 })) as Status;
  return faults.map(({ message }) => message);
}

test("a backup without a receiver brings the WAL it needs, can be restored, and leaves no slot behind", async () => {
  await write("before the first backup");
  const ran = await cli.expect(0, "backup --label first", { launcher: true });
  assert.match(ran.out, /^Backup \S+ can be restored\.\n/);
  assert.match(ran.err, /copying the server's files/);
  // What the README grants beside REPLICATION was not granted yet, and is told.
  assert.match(
    ran.err,
    /warning: configuration outside .* GRANT pg_monitor, pg_read_server_files TO "lifeboat"; GRANT EXECUTE/,
  );
  await server.query("GRANT pg_monitor, pg_read_server_files TO lifeboat");
  await server.query("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO lifeboat");
  assert.equal(await slots(), "");
  assert.deepEqual(await labels(), ["first"]);
  assert.deepEqual(await rowsAfter(""), ["before the first backup"]);
});

test("two backups at once share one receiver; when its owner has ended, the other receives for itself", async () => {
  const [one, two] = [cli.run("backup --label quick"), cli.run("backup --label slow --backup-max-rate 8MiB")];
  const ended = await Promise.all([one, two]);
  assert.deepEqual(
    ended.map((each) => each.status),
    [0, 0],
    ended.map((each) => each.err).join("\n"),
  );
  for (const { err } of ended) assert.doesNotMatch(err, /warning/);
  assert.deepEqual((await labels()).toSorted(), ["first", "quick", "slow"]);
  assert.equal(await slots(), "");
});

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGKILL", null],
] as const) {
  test(`a backup that ${signal} ends in the middle leaves no trace among the backups and a clean vault`, async () => {
    const before = await cli.expect(0, "backups");
    const backup = cli.start("backup --label cut --backup-max-rate 1MiB --json");
    await backup.said(/copying the server's files/);
    backup.child.kill(signal);
    const ended = await backup.ended;
    assert.equal(ended.status, status);
    for (const line of ended.err.trimEnd().split("\n")) JSON.parse(line);
    assert.deepEqual(await cli.expect(0, "backups"), before);
    await cli.expect(0, "vault check --read-data");
    await eventually("the slot of its session ends", async () => (await slots()) === "");
  });

  test(`a restore that ${signal} ends in the middle cannot be started, and the same command goes through`, async () => {
    const target = path.join(folder, `cut-${signal}`);
    const restore = cli.start(`restore --target ${target}`);
    await restore.said(/writing the backup's files/);
    restore.child.kill(signal);
    const ended = await restore.ended;
    // On a fast disk it may have been through before the signal.
    if (ended.status !== 0) {
      assert.equal(ended.status, status, ended.err);
      assert.equal(await stat(path.join(target, "global/pg_control")).catch(() => "absent"), "absent");
      await cli.expect(0, `restore --target ${target}`);
    }
    await stat(path.join(target, "global/pg_control"));
    await rm(target, { recursive: true });
  });
}

test("a receiver is found well by wal status, a second one is refused, and a backup relies on it", async () => {
  await cli.expect(6, "wal status");
  const receiver = cli.start("wal receive");
  await receiver.said(/receiver streaming/);
  await eventually("wal status is content", async () => (await cli.run("wal status")).status === 0);
  assert.equal(await slots(), "lifeboat_vault");
  const second = await cli.expect(3, "wal receive");
  assert.match(second.err, /another receiver uses the spool .*\n.*\ncode: wal\.spool-busy/);
  const wrong = await wrongNow();
  assert.deepEqual(wrong.length, 1, `no backup is proven, and nothing else is wrong: ${wrong.join("; ")}`);
  const unreached = await wrongNow("--server-port 1");
  assert.ok(
    unreached.some((message) => /127\.0\.0\.1:1/.test(message)),
    unreached.join("; "),
  );
  await write("under the receiver");
  const record = (await cli.json("backup --backup-compression-level 2", {
    environment: {
      LIFEBOAT_BACKUP_CHECKPOINT: "fast",
      LIFEBOAT_SERVER_USER: SUPERUSER.name,
      PGPASSWORD: SUPERUSER.password,
    },
  })) as { readonly label: string };
  assert.equal(record.label, "manual");
  receiver.child.kill("SIGTERM");
  const ended = await receiver.ended;
  assert.equal(ended.status, 0);
  assert.match(ended.out, /^Stopped\. Confirmed up to .* on timeline 1; /);
  const status = await cli.expect(6, "wal status");
  assert.match(status.out, /not running; last seen stopped/);
  const alone = await wrongNow();
  assert.ok(
    alone.some((message) => /receiver/.test(message)),
    alone.join("; "),
  );
});

test("a receiver that is killed while the server writes, and a server that restarts, leave no gap", async () => {
  const first = cli.start("wal receive");
  await first.said(/receiver streaming/);
  const writing = server.query("INSERT INTO ledger SELECT g, 'bulk' FROM generate_series(1000, 40000) g");
  first.child.kill("SIGKILL");
  await first.ended;
  await writing;
  await server.query("DELETE FROM ledger WHERE id >= 1000");
  const second = cli.start("wal receive");
  await second.said(/receiver streaming/);
  await server.restart();
  await second.said(/backing-off[\s\S]*receiver streaming/);
  await write("after the restart");
  await server.query("SELECT pg_switch_wal()");
  await eventually("wal status is content", async () => (await cli.run("wal status")).status === 0);
  const points = (await cli.json("points")) as {
    readonly ranges: readonly unknown[];
    readonly gaps: readonly unknown[];
  };
  assert.equal(points.gaps.length, 0);
  assert.equal(points.ranges.length, 1);
  second.child.kill("SIGTERM");
  await second.ended;
});

test("a restore to a time has what was committed before it and nothing after; the newest point has all", async () => {
  const receiver = cli.start("wal receive");
  await receiver.said(/receiver streaming/);
  await write("wanted");
  await systemClock.sleep(2, {});
  const moment = await server.value(
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MSZ')",
  );
  await systemClock.sleep(2, {});
  await write("a mistake");
  await eventually("all is confirmed", async () => (await cli.run("wal status")).out.includes("behind:     0 B"));
  const all = ["before the first backup", "under the receiver", "after the restart", "wanted", "a mistake"];
  const plan = (await cli.json(`restore --target ${folder}/never --dry-run`)) as {
    readonly plan: {
      readonly walSegmentCount: number;
      readonly needs: readonly { readonly folders: readonly string[] }[];
    };
  };
  assert.ok(plan.plan.walSegmentCount > 0);
  assert.deepEqual(plan.plan.needs[0]?.folders, [path.join(folder, "never")]);
  assert.equal(await stat(path.join(folder, "never")).catch(() => "absent"), "absent");
  assert.deepEqual(await rowsAfter(""), all);
  assert.deepEqual(await rowsAfter(`--to-time ${moment}`), all.slice(0, -1));
  assert.match(
    (await cli.expect(4, `restore --target ${folder}/never --to-time 2000-01-01T00:00:00Z`)).err,
    /restore\.no-backup/,
  );
  receiver.child.kill("SIGTERM");
  await receiver.ended;
});

test("a restore never goes into a folder with files, a running server's, or one without the right programs", async () => {
  const running = await cli.expect(3, `restore --target ${server.dataFolder}`);
  assert.match(running.err, /code: restore\.target-in-use/);
  assert.match((await cli.expect(3, "restore --target ../vault/restored")).err, /code: restore\.target-in-vault/);
  const full = await cli.expect(3, "restore --target .");
  assert.match(full.err, /code: restore\.target-not-empty/);
  const programs = "/usr/lib/postgresql/15/bin";
  const other = await cli.expect(3, `restore --target ${folder}/never --boot --postgres-bin-dir ${programs}`);
  assert.match(other.err, /is of PostgreSQL 16, the programs found are 15\./);
  assert.ok(other.err.includes("code: restore.version-mismatch"), other.err);
  assert.equal(await stat(path.join(folder, "never")).catch(() => "absent"), "absent");
  assert.equal(await server.value("SELECT count(*) FROM ledger"), String(written));
  // Only root restores for somebody else, who may not get there.
  if (process.getuid?.() === 0) {
    await mkdir(path.join(folder, "closed"), { mode: 0o700 });
    const closed = await cli.expect(3, `restore --target ${folder}/closed/target`);
    assert.match(closed.err, /cannot enter .*closed\n.*\ncode: platform\.not-reachable/);
  }
});

test("rule B2: wal get answers found, absent and unknown to a restore and to a standby", async () => {
  const systemId = (await readdir(path.join(folder, "vault/wal")))[0] ?? "";
  const held = (await readdir(path.join(folder, "vault/wal", systemId, "00000001"))).toSorted()[0] ?? "";
  const file = path.join(folder, "fetched");
  const get = (name: string, options = "") => cli.run(`wal get ${name} ${file} ${options}`, { launcher: true });
  assert.deepEqual(await get(held.toUpperCase()), { status: 0, out: "", err: "" });
  const { size, mode } = await stat(file);
  assert.deepEqual([size, mode & 0o777], [16 * 1024 * 1024, 0o600]);
  assert.equal((await get("0000000100000000000000F0")).status, 1);
  assert.equal((await get("0000000100000000000000F0", "--mode standby")).status, 1);
  // The vault's disk is not mounted: nothing is known.
  await rename(path.join(folder, "vault"), path.join(folder, "away"));
  const unknown = await get(held.toUpperCase());
  assert.equal(unknown.status, 200);
  assert.match(unknown.err, /code: vault\.not-a-vault/);
  assert.equal((await get(held.toUpperCase(), "--mode standby")).status, 1);
  await rename(path.join(folder, "away"), path.join(folder, "vault"));
});

test("damage is found: the check says which backups are whole, a restore names the object and the other backups", async () => {
  const packs = await readdir(path.join(folder, "vault/packs"), { recursive: true, withFileTypes: true });
  const files = packs.filter((each) => each.isFile()).map((each) => path.join(each.parentPath, each.name));
  const sizes = await Promise.all(files.map(async (file) => ({ file, size: (await stat(file)).size })));
  const largest = sizes.toSorted((a, b) => b.size - a.size)[0]?.file ?? "";
  const whole = await readFile(largest);
  await truncate(largest, whole.length - 100_000);
  const report = (await cli.json("vault check", { status: 5 })) as {
    readonly whole: boolean;
    readonly backups: readonly { readonly whole: boolean; readonly backup: { readonly backupId: string } }[];
  };
  assert.equal(report.whole, false);
  const damaged = report.backups.find((each) => !each.whole)?.backup.backupId ?? "none";
  const restore = await cli.expect(5, `restore --target ${folder}/damaged --backup ${damaged}`);
  assert.match(restore.err, /A restore from another backup may be possible:\n {2}--backup/);
  assert.match(
    restore.err,
    new RegExp(`${path.basename(largest)} is damaged[\\s\\S]*vault check[\\s\\S]*code: vault.object-damaged`),
  );
});

test("help, completion and colours: what is printed is plain where nobody looks", async () => {
  const help = await cli.expect(0, "help wal get", { environment: { FORCE_COLOR: "1" } });
  assert.match(help.out, /^Usage: lifeboat wal get /);
  assert.equal(help.out.includes("\u001b"), false);
  const bare = await cli.run("");
  assert.equal(bare.status, 2);
  assert.equal(bare.out, "");
});
