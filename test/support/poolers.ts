/** Real PgBouncers for tests and benchmarks, with the configuration that a stack gives them. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import pg from "pg";
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { findFreePort } from "../../src/platform/free-port.ts";
import { systemLocks } from "../../src/platform/lock.ts";
import { filesOwnedBy } from "../../src/platform/owned-files.ts";
import { type RunningProcess, systemProcesses } from "../../src/platform/processes.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { type ConsoleAddress, consoleOf, consolesOf, POOLER_CONSOLE_ROLE } from "../../src/pooler/console.ts";
import { formatDatabases } from "../../src/pooler/databases-file.ts";
import { PgBouncer } from "../../src/pooler/pgbouncer.ts";
import { renderPgBouncer, renderPoolerUsers } from "../../src/pooler/pgbouncer-ini.ts";
import type { ServerAddress } from "../../src/pooler/pooler.ts";
import { findProgram, SYSTEM_FOLDERS } from "../../src/stack/programs.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { eventually } from "./receivers.ts";
import { giveTo, SUPERUSER, serverUser } from "./servers.ts";

const FOLDERS = [...(process.env["LIFEBOAT_TEST_PROGRAMS"] ?? "").split(":"), ...SYSTEM_FOLDERS];
/** The pool's database on the server. */
export const POOLED_DATABASE = "postgres";
const CONSOLE_PASSWORD = "console";

/** What a pooler of a test is. */
export type TestPoolerOptions = {
  readonly server: ServerAddress;
  readonly name?: string;
  /** Lines put behind our own settings. */
  readonly settings?: readonly string[];
  /** Default: the one in LIFEBOAT_TEST_PROGRAMS, else the system's. */
  readonly program?: string | undefined;
  readonly environment?: Readonly<Record<string, string>>;
};

/** A PgBouncer of a test. */
export class TestPooler {
  readonly name: string;
  readonly port: number;
  readonly folder: string;
  readonly databasesFile: string;
  readonly #program: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #drivers: PgBouncer[] = [];
  #process: RunningProcess | undefined;

  constructor(
    at: { readonly port: number; readonly folder: string; readonly program: string },
    options: TestPoolerOptions,
  ) {
    this.name = options.name ?? "pgbouncer";
    this.port = at.port;
    this.folder = at.folder;
    this.databasesFile = path.join(at.folder, "databases.ini");
    this.#program = at.program;
    this.#environment = options.environment ?? {};
  }

  /** How its console is reached. */
  get consoleAddress(): ConsoleAddress {
    return { host: "127.0.0.1", port: this.port, password: CONSOLE_PASSWORD };
  }

  /** How clients reach it. */
  get clientAddress() {
    const { name: user, password } = SUPERUSER;
    return { host: "127.0.0.1", port: this.port, user, password, database: POOLED_DATABASE };
  }

  /** A driver of its own, as each controller has one; closed with the pooler. */
  async driver(): Promise<PgBouncer> {
    const user = await serverUser();
    const files = user === undefined ? systemFiles : filesOwnedBy(systemFiles, user);
    const driver = new PgBouncer(
      { clock: systemClock, files, locks: systemLocks, random: systemRandom },
      {
        name: this.name,
        ...consolesOf(this.consoleAddress),
        databasesFile: this.databasesFile,
        owner: user,
      },
    );
    this.#drivers.push(driver);
    return driver;
  }

  /** A client's session, for one after another. */
  async client(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.clientAddress, ssl: false });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** Starts it; it answers when this resolves. */
  async start(): Promise<void> {
    const mark = process.env["LIFEBOAT_TEST_FILE"];
    this.#process = await systemProcesses.start({
      command: this.#program,
      args: [path.join(this.folder, "pgbouncer.ini")],
      folder: this.folder,
      environment: { ...this.#environment, ...(mark === undefined ? {} : { LIFEBOAT_TEST_FILE: mark }) },
      user: await serverUser(),
      output: { kind: "file", file: path.join(this.folder, "pgbouncer.log") },
      input: "none",
      detached: true,
    });
    const console = consoleOf(this.consoleAddress);
    await eventually("the pooler answers", async () => console.version({ timeoutMs: 1_000 }).catch(() => undefined));
    await console.close();
  }

  /** Kills it. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (running === undefined) return;
    running.kill("SIGKILL");
    // Its end alone would not keep this process alive.
    await eventually("the pooler is gone", async () => !(await systemProcesses.isAlive(running.pid)));
  }

  /** Halts it: it neither answers nor closes its connections. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#drivers) await driver.close();
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Starts a pooler in front of a server: `await using pooler = await startPooler({ server })`. */
export async function startPooler(options: TestPoolerOptions): Promise<TestPooler> {
  const folder = await mkdtemp(path.join(memoryFolder(), "lifeboat-pooler-"));
  const program = options.program ?? (await findProgram(systemFiles, FOLDERS, "pgbouncer"));
  if (program === undefined) throw new Error(`pgbouncer is in none of ${FOLDERS.join(", ")}`);
  const pooler = new TestPooler({ port: await findFreePort(systemRandom), folder, program }, options);
  const usersFile = path.join(folder, "userlist.txt");
  const { port, databasesFile } = pooler;
  const ini = renderPgBouncer({ port, socketFolder: folder, databasesFile, usersFile });
  const users = { [SUPERUSER.name]: SUPERUSER.password, [POOLER_CONSOLE_ROLE]: CONSOLE_PASSWORD };
  const databases = [{ name: POOLED_DATABASE, database: POOLED_DATABASE, server: options.server }];
  await writeFile(path.join(folder, "pgbouncer.ini"), `${ini}${(options.settings ?? []).join("\n")}\n`);
  await writeFile(usersFile, renderPoolerUsers(users));
  await writeFile(databasesFile, formatDatabases({ epoch: 0, databases }));
  await chmod(folder, 0o700);
  await giveTo(await serverUser(), folder);
  await pooler.start();
  return pooler;
}
