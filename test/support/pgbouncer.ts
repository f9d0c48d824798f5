/** A PgBouncer in front of a test server. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { findFreePort } from "../../src/platform/free-port.ts";
import type { RunningProcess } from "../../src/platform/processes.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import { withSession } from "../../src/postgres/session.ts";
import { findProgram, SYSTEM_FOLDERS } from "../../src/stack/programs.ts";
import { eventually } from "./receivers.ts";
import { giveTo, PORTS, SUPERUSER, serverUser, type TestServer } from "./servers.ts";

const FOLDERS = [...(process.env["LIFEBOAT_TEST_PROGRAMS"] ?? "").split(":"), ...SYSTEM_FOLDERS];

/** Always full: then no login to the server begins at a moment of its own. */
const POOL_SIZE = 8;

/** A pooler under test, transaction pooling, with the superuser of the test servers as client and administrator. */
export class TestPooler implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  readonly #process: RunningProcess;

  constructor(folder: string, port: number, process: RunningProcess) {
    this.folder = folder;
    this.port = port;
    this.#process = process;
  }

  address(database: string): ConnectOptions {
    return {
      host: "127.0.0.1",
      port: this.port,
      user: SUPERUSER.name,
      password: SUPERUSER.password,
      database,
      applicationName: "lifeboat_test",
      connectTimeoutMs: 2_000,
    };
  }

  /** Runs a command of its console. */
  async console(command: string): Promise<void> {
    const connect = this.address("pgbouncer");
    await withSession({ connect, step: command, work: (session) => session.query(command) });
  }

  /** Pauses with a full pool: a login that the pause catches fails, and the next one then waits for server_login_retry. */
  async pause(): Promise<void> {
    const connect = this.address("pgbouncer");
    await withSession({
      connect,
      step: "PAUSE",
      work: async (session) => {
        await eventually("the pool is full, and no login in flight", async () => {
          const { rows } = await session.query<Record<string, string>>("SHOW POOLS");
          const pool = rows.find(({ database }) => database === "postgres");
          const ready = ["sv_active", "sv_idle", "sv_used"].map((state) => Number(pool?.[state]));
          return Number(pool?.["sv_login"]) === 0 && ready.reduce((sum, count) => sum + count) >= POOL_SIZE;
        });
        await session.query("PAUSE");
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Starts a pooler that leads to the server's database `postgres`; `settings` are lines for its configuration. */
export async function startPooler(server: TestServer, settings: readonly string[] = []): Promise<TestPooler> {
  const command = await findProgram(PORTS.files, FOLDERS, "pgbouncer");
  if (command === undefined) throw new Error(`pgbouncer is in none of ${FOLDERS.join(", ")}`);
  const user = await serverUser();
  const folder = await mkdtemp("/tmp/pooler-");
  const port = await findFreePort(systemRandom);
  const lines = [
    "[databases]",
    `postgres = host=127.0.0.1 port=${server.server.setup.port} dbname=postgres`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = scram-sha-256",
    `auth_file = ${path.join(folder, "userlist.txt")}`,
    `admin_users = ${SUPERUSER.name}`,
    "pool_mode = transaction",
    `min_pool_size = ${POOL_SIZE}`,
    `default_pool_size = ${POOL_SIZE}`,
    ...settings,
  ];
  await writeFile(path.join(folder, "pgbouncer.ini"), `${lines.join("\n")}\n`);
  await writeFile(path.join(folder, "userlist.txt"), `"${SUPERUSER.name}" "${SUPERUSER.password}"\n`);
  await giveTo(user, folder);
  const running = await PORTS.processes.start({
    command,
    args: [path.join(folder, "pgbouncer.ini")],
    user,
    output: { kind: "file", file: path.join(folder, "log") },
    input: "none",
    detached: false,
  });
  const pooler = new TestPooler(folder, port, running);
  try {
    await eventually("the pooler leads to the server", async () => {
      const connect = pooler.address("postgres");
      const asked = withSession({ connect, step: "SELECT 1", work: (session) => session.query("SELECT 1") });
      return await asked.then(
        () => true,
        () => false,
      );
    });
  } catch (error) {
    await pooler[Symbol.asyncDispose]();
    throw error;
  }
  return pooler;
}
