/**
 * Receivers for tests: over a real server, with a vault in memory and a spool in a folder of their own.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { type Files, systemFiles } from "../../src/platform/files.ts";
import { systemLocks } from "../../src/platform/lock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { currentUid } from "../../src/platform/run-as.ts";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import { openReplication } from "../../src/postgres/replication-connection.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { getSegment } from "../../src/vault/wal-store.ts";
import { addressUnder } from "../../src/wal/mandate.ts";
import { createReceiver, type Receiver, type ReceiverOptions } from "../../src/wal/receiver.ts";
import { listSpool, readSpoolFile } from "../../src/wal/spool-files.ts";
import { readSpoolState } from "../../src/wal/spool-state.ts";
import { governBySocket } from "../../src/witness/control.ts";
import type { TestServer } from "./servers.ts";
import { createTestVault } from "./vaults.ts";

/** The name that synchronous_standby_names lists. */
export const RECEIVER_NAME = "lifeboat_vault";

/** Longest that a test waits for anything. */
const DEADLINE_MS = 20_000;
/**
 * Between two looks: at first shortly, then a tenth of the time already waited, at most so long. Many a look logs in to a server
 * or starts a program; without a pause it would take a core from what is waited for, and from the tests beside.
 */
const LOOK_INTERVAL_MS = { min: 10, max: 100, share: 0.1 };

/** Waits until `look` answers something else than undefined or false. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const begun = systemClock.monotonic();
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    const waitedMs = systemClock.monotonic() - begun;
    if (waitedMs > DEADLINE_MS) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    const { min, max, share } = LOOK_INTERVAL_MS;
    await systemClock.sleep(Math.min(max, Math.max(min, waitedMs * share)), {});
  }
}

/** A folder that is gone at the end of the test. */
export async function temporaryFolder(name: string): Promise<AsyncDisposable & { readonly folder: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), `lifeboat-${name}-`));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** What a test wants different. */
export type ReceiverChanges = Partial<ReceiverOptions> & {
  readonly files?: Files;
  readonly address?: ConnectOptions;
  readonly clock?: Clock;
};

/** A spool and a vault, and the receivers that use them one after another. */
export class Station implements AsyncDisposable {
  readonly spoolFolder: string;
  readonly vault: Vault;
  readonly #folder: AsyncDisposable;
  #receiver: Receiver | undefined;

  constructor(parts: { readonly spoolFolder: string; readonly vault: Vault; readonly folder: AsyncDisposable }) {
    this.spoolFolder = parts.spoolFolder;
    this.vault = parts.vault;
    this.#folder = parts.folder;
  }

  /** A receiver that has not been started. The one before must have been stopped. */
  receiver(server: TestServer, more: ReceiverChanges = {}): Receiver {
    const { files = systemFiles, address = this.address(server), clock = systemClock, ...options } = more;
    this.#receiver = createReceiver(
      {
        vault: this.vault,
        files,
        locks: systemLocks,
        clock,
        random: systemRandom,
        connect: ({ mandate, signal }) => openReplication(addressUnder(mandate, address), { signal }),
        govern: (open) => governBySocket({ files: systemFiles, uid: currentUid() }, this.spoolFolder, open),
      },
      { spoolFolder: this.spoolFolder, slot: RECEIVER_NAME, pid: process.pid, statusIntervalMs: 100, ...options },
    );
    return this.#receiver;
  }

  /** Starts a receiver; streaming when this resolves. */
  async start(server: TestServer, more: Partial<ReceiverOptions> & { readonly files?: Files } = {}): Promise<Receiver> {
    const receiver = this.receiver(server, more);
    await receiver.start({});
    return receiver;
  }

  /** Stops the receiver and starts another one; streaming when this resolves. */
  async restart(server: TestServer): Promise<Receiver> {
    await this.#receiver?.stop();
    return await this.start(server);
  }

  /** How a receiver reaches the server. */
  address(server: TestServer): ConnectOptions {
    return { ...server.server.address(), database: undefined, applicationName: RECEIVER_NAME };
  }

  /** All that vault and spool hold of one timeline, by segment name; of the last one perhaps only the beginning. */
  async held(timeline = 1): Promise<ReadonlyMap<string, Buffer>> {
    const state = await readSpoolState(systemFiles, this.spoolFolder);
    if (state === undefined) return new Map();
    const found = new Map<string, Buffer>();
    for (const file of await listSpool(systemFiles, this.spoolFolder, state)) {
      if (file.timeline === timeline)
        found.set(file.segment, await readSpoolFile(systemFiles, file).catch(() => Buffer.alloc(0)));
    }
    const prefix = `wal/${state.systemId}/`;
    for await (const { key } of this.vault.store.list(prefix)) {
      const segment = /\/([0-9a-f]{24})$/.exec(key)?.[1]?.toUpperCase();
      if (segment === undefined || Number.parseInt(segment.slice(0, 8), 16) !== timeline) continue;
      const bytes = await getSegment(this.vault, { systemId: state.systemId, segment }, {});
      if (bytes !== undefined) found.set(segment, bytes);
    }
    return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#receiver?.stop();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** A place for receivers: `await using station = await openStation()`. */
export async function openStation(vault?: Vault): Promise<Station> {
  const folder = await temporaryFolder("spool");
  return new Station({
    spoolFolder: path.join(folder.folder, "spool"),
    vault: vault ?? (await createTestVault()),
    folder,
  });
}

/** Waits until the server says that the receiver has flushed all that the server has. */
export async function caughtUp(server: TestServer, name: string = RECEIVER_NAME): Promise<void> {
  const lsn = await server.value("SELECT pg_current_wal_flush_lsn()");
  await eventually(`the receiver confirms ${lsn}`, async () => {
    const sql = `SELECT count(*) FROM pg_stat_replication WHERE application_name = $1 AND flush_lsn >= '${lsn}'`;
    return (await server.value(sql, [name])) === "1";
  });
}

/** The first `bytes` of each segment in the server's pg_wal, by name. */
export async function serverSegment(server: TestServer, segment: string): Promise<Buffer | undefined> {
  const folder = path.join(server.dataFolder, "pg_wal");
  if (!(await readdir(folder)).includes(segment)) return undefined;
  return await readFile(path.join(folder, segment));
}
