/**
 * `lifeboat restore` to a named point, and with more WAL than is laid, as processes of their own: the plan, a recovery that
 * is fed, one that stops at WAL that is gone, and how it goes on with `wal feed`.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { systemFiles } from "../../src/platform/files.ts";
import { findFreePort } from "../../src/platform/free-port.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { LocalServer } from "../../src/postgres/server.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { CommandLine } from "../support/command-line.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS, SUPERUSER, startServer, type TestServer } from "../support/servers.ts";
import { cheapenPassphrase } from "../support/vaults.ts";

const MIB = 1024 * 1024;
const SEGMENTS = 12;

let server: TestServer;
let cli: CommandLine;
let folder = "";
let xid = "";
/** Names of the segments that were written after the backup, in order. */
const written: string[] = [];

before(async () => {
  server = await startServer({ major: 17, name: "targets", walSegmentBytes: MIB });
  await server.query("CREATE TABLE t (id int)");
  folder = await mkdtemp(path.join(memoryFolder(), "lifeboat-targets-"));
  // The restored server is another user's.
  await chmod(folder, 0o755);
  cli = new CommandLine(path.join(folder, "conf"));
  cli.write("passphrase", "battery staple\n");
  cli.write("password", `${SUPERUSER.password}\n`);
  cli.write(
    "lifeboat.yaml",
    `server: {host: 127.0.0.1, port: ${server.server.setup.port}, user: ${SUPERUSER.name}, passwordFile: password}
vault: {path: ../vault, passphraseFile: passphrase}
folders: {spool: ../spool, state: ../state, sandbox: ../sandboxes}
restore: {walLaidMax: 2MiB}
`,
  );
  await cli.expect(0, "vault init");
  await cheapenPassphrase(path.join(folder, "vault"), "battery staple");
  const receiver = cli.start("wal receive");
  await receiver.said(/receiver streaming/);
  await cli.expect(0, "backup");
  for (let id = 1; id <= SEGMENTS; id += 1) {
    await server.query("INSERT INTO t VALUES ($1)", [id]);
    if (id === SEGMENTS - 1) {
      const sql = "INSERT INTO t VALUES (100) RETURNING pg_current_xact_id()::text";
      xid = await server.value(sql);
      await server.query("SELECT pg_create_restore_point('before the last')");
    }
    written.push(await server.value("SELECT pg_walfile_name(pg_switch_wal())"));
  }
  const last = await objectOf(written.at(-1) ?? "");
  await eventually(
    "the last segment is in the vault",
    async () => (await stat(last).catch(() => undefined)) !== undefined,
  );
  receiver.child.kill("SIGTERM");
  await receiver.ended;
});

after(async () => {
  await cli.end();
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function objectOf(segment: string): Promise<string> {
  const systemId = await server.value("SELECT system_identifier FROM pg_control_system()");
  return path.join(folder, "vault", "wal", systemId, segment.slice(0, 8), segment.toLowerCase());
}

async function restoredServer(target: string): Promise<LocalServer> {
  const port = await findFreePort(systemRandom);
  return new LocalServer(PORTS, {
    ...server.server.setup,
    dataFolder: target,
    socketFolder: path.join(folder, "socket"),
    port,
    logFile: path.join(target, "log"),
  });
}

async function rowsIn(local: LocalServer): Promise<string> {
  const session = await local.connect({ namesOf: "database" }, {});
  try {
    const [row] = await session.query("SELECT string_agg(id::text, ',' ORDER BY id) AS rows FROM t", [], {
      timeoutMs: 10_000,
    });
    return String(row?.["rows"]);
  } finally {
    await session.close();
  }
}

const ALL = `${Array.from({ length: SEGMENTS }, (_, index) => index + 1).join(",")},100`;

test("a dry run says what recovery stops at, and refuses what is not held", async () => {
  const target = `${folder}/never`;
  const { err } = await cli.expect(4, `restore --target ${target} --dry-run --timeline latest --to-name nobody`);
  assert.match(err, /restore point "nobody" is not in the WAL that is held: searched 0\/\w+ to 0\/\w+ on timeline 1/);
  const { out } = await cli.expect(0, `restore --target ${target} --dry-run --boot --to-xid ${xid} --exclusive`);
  assert.match(out, new RegExp(`^stops: +before the commit of transaction ${xid} at 20`, "m"));
  assert.match(out, /^replays: .+ of which \d+\.\d MiB are fed while it recovers$/m);
  assert.doesNotMatch((await cli.expect(0, `restore --target ${target} --dry-run --to-xid ${xid}`)).out, /fed/);
});

test("WAL beyond the limit is fed; where it is gone recovery stops, and goes on with wal feed when it is back", async () => {
  const target = path.join(folder, "restored");
  const segment = written[SEGMENTS - 4] ?? "";
  const object = await objectOf(segment);
  // Behind what the plan reads to find the target, which is at the end.
  await rename(object, `${object}.away`);
  const holed = await cli.expect(5, `restore --target ${target} --boot`);
  assert.match(holed.err, /code: restore\.wal-gap/, "a plan does not begin with a hole in sight");
  await rename(`${object}.away`, object);
  const restore = cli.start(`restore --target ${target} --boot`);
  await restore.said(/writing the backup's files/);
  await rename(object, `${object}.away`);
  const cut = await restore.ended;
  assert.equal(cut.status, 6, cut.err);
  assert.match(cut.err, new RegExp(`segment ${segment} was held when the restore was planned and is gone`));
  assert.match(cut.err, new RegExp(`run \`lifeboat wal feed --target ${target}\``));
  await rename(`${object}.away`, object);
  const feed = cli.start(`wal feed --target ${target} --json`);
  const local = await restoredServer(target);
  try {
    await local.start({ until: "recovered", timeoutMs: 60_000 });
    const fed = await feed.ended;
    assert.equal(fed.status, 0, fed.err);
    assert.match(fed.out, /"timeline": ?2/);
    assert.equal(await rowsIn(local), ALL);
  } finally {
    await local.kill();
  }
  assert.match((await cli.expect(4, `wal feed --target ${target}`)).err, /code: restore\.nothing-to-feed/);
});

test("without --boot all WAL is laid, and a server that anybody starts recovers to the target", async () => {
  const target = path.join(folder, "unbooted");
  await cli.expect(0, `restore --target ${target} --to-xid ${xid} --exclusive`);
  const local = await restoredServer(target);
  try {
    await local.start({ until: "recovered", timeoutMs: 60_000 });
    assert.equal(await rowsIn(local), ALL.replace(`,${SEGMENTS},100`, ""));
    const settings = (await systemFiles.readFile(path.join(target, "postgresql.auto.conf"))).toString();
    assert.doesNotMatch(settings, /restore_command|recovery_target/);
  } finally {
    await local.kill();
  }
});
