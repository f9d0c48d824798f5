/**
 * The replication connection of a real server: commands of the walsender. What it promises is in replication.ts.
 */
import { assert, isLifeboatError } from "../errors/error.ts";
import { BASE_BACKUP_CODES, baseBackupCommand, receiveBaseBackup } from "./base-backup.ts";
import { formatLsn, type Lsn, type SystemId, type Timeline } from "./lsn.ts";
import type {
  BaseBackupEnd,
  BaseBackupOptions,
  BaseBackupSink,
  CallOptions,
  ConnectOptions,
  ReplicationConnection,
  SystemIdentity,
  WalStream,
} from "./replication.ts";
import type { CodesOfCommand } from "./server-error.ts";
import { PhysicalWalStream, readNextTimeline, WAL_CODES } from "./wal-stream.ts";
import { lsnAt, type TextRow, textAt, timelineAt } from "./wire/answers.ts";
import { TYPE, unexpected, type WireConnection } from "./wire/connection.ts";
import { openSession, type Session } from "./wire/login.ts";
import { quoteIdentifier } from "./wire/outgoing.ts";
import { protocolError } from "./wire/protocol-error.ts";

const SLOT_CODES: CodesOfCommand = { "55006": "postgres.slot-in-use", "42704": "postgres.slot-missing" };
const HISTORY_CODES: CodesOfCommand = { "58P01": "postgres.wal-removed" };
/** SQLSTATE of a slot that is there already. */
const DUPLICATE_OBJECT = "42710";

/**
 * Logs in as a walsender. Rejects as `openSession` does; `postgres.not-permitted` when the role lacks REPLICATION.
 * Closing the connection is the caller's.
 */
export async function openReplication(options: ConnectOptions, call: CallOptions): Promise<ReplicationConnection> {
  const { applicationName, senderTimeoutMs } = options;
  const parameters = {
    replication: "true",
    application_name: applicationName,
    client_encoding: "UTF8",
    // A walsender takes it from here alone: it has no SET, and what is set for its role does not reach it.
    ...(senderTimeoutMs === undefined ? {} : { options: `-c wal_sender_timeout=${senderTimeoutMs}ms` }),
  };
  return new Walsender(await openSession(options, parameters, call));
}

class Walsender implements ReplicationConnection {
  readonly serverVersion: number;
  readonly backendPid: number;
  readonly #wire: WireConnection;

  constructor(session: Session) {
    this.serverVersion = session.serverVersion;
    this.backendPid = session.backendPid;
    this.#wire = session.wire;
  }

  async identifySystem(options: CallOptions): Promise<SystemIdentity> {
    const row = await this.#oneRow("IDENTIFY_SYSTEM", options);
    const systemId = textAt(row, { column: 0, what: "system identifier" });
    if (!/^[0-9]{1,20}$/.test(systemId)) throw protocolError(`the server's system identifier is "${systemId}"`);
    return { systemId: systemId as SystemId, timeline: timelineAt(row, 1), flushedLsn: lsnAt(row, 2) };
  }

  async show(parameter: string, options: CallOptions): Promise<string> {
    const name = parameter.split(".").map(quoteIdentifier).join(".");
    return textAt(await this.#oneRow(`SHOW ${name}`, options), { column: 0, what: `value of ${parameter}` });
  }

  async timelineHistory(
    timeline: Timeline,
    options: CallOptions,
  ): Promise<{ readonly name: string; readonly content: Buffer }> {
    assert(timeline > 1, "timeline 1 has no history");
    const row = await this.#oneRow(`TIMELINE_HISTORY ${timeline}`, options, HISTORY_CODES);
    const content = row?.[1];
    if (content === undefined || content === null) throw protocolError("the server's timeline history is empty");
    // A copy: the view would keep the whole chunk it came in alive.
    return { name: textAt(row, { column: 0, what: "name of the history file" }), content: Buffer.from(content) };
  }

  async createSlot(
    slot: { readonly name: string; readonly reserveWal: boolean; readonly temporary: boolean },
    options: CallOptions,
  ): Promise<"created" | "existed"> {
    const kind = slot.temporary ? "TEMPORARY PHYSICAL" : "PHYSICAL";
    const reserve = slot.reserveWal ? " (RESERVE_WAL true)" : "";
    try {
      await this.#rows(`CREATE_REPLICATION_SLOT ${quoteIdentifier(slot.name)} ${kind}${reserve}`, options, SLOT_CODES);
      return "created";
    } catch (error) {
      if (isLifeboatError(error) && error.details["sqlstate"] === DUPLICATE_OBJECT) return "existed";
      throw error;
    }
  }

  async readSlot(
    name: string,
    options: CallOptions,
  ): Promise<{ readonly restartLsn: Lsn | undefined; readonly timeline: Timeline | undefined } | undefined> {
    const row = await this.#oneRow(`READ_REPLICATION_SLOT ${quoteIdentifier(name)}`, options, SLOT_CODES);
    if (row === undefined || row[0] === null) return undefined;
    return {
      restartLsn: row[1] === null ? undefined : lsnAt(row, 1),
      timeline: row[2] === null ? undefined : timelineAt(row, 2),
    };
  }

  async dropSlot(name: string, options: CallOptions): Promise<void> {
    await this.#rows(`DROP_REPLICATION_SLOT ${quoteIdentifier(name)}`, options, SLOT_CODES);
  }

  async baseBackup(request: BaseBackupOptions, sink: BaseBackupSink, { signal }: CallOptions): Promise<BaseBackupEnd> {
    const step = `taking a base backup of ${this.#wire.peer.name}`;
    return await this.#wire.command({ step, signal, codes: BASE_BACKUP_CODES }, async () => {
      this.#wire.query(baseBackupCommand(request));
      return await receiveBaseBackup(this.#wire, sink);
    });
  }

  async startWal(
    from: { readonly lsn: Lsn; readonly timeline: Timeline; readonly slot?: string | undefined },
    { signal }: CallOptions,
  ): Promise<WalStream> {
    const position = `${formatLsn(from.lsn)} on timeline ${from.timeline}`;
    const slot = from.slot === undefined ? "" : `SLOT ${quoteIdentifier(from.slot)} `;
    const step = `starting WAL of ${this.#wire.peer.name} at ${position}`;
    return await this.#wire.command({ step, signal, codes: WAL_CODES }, async () => {
      this.#wire.query(`START_REPLICATION ${slot}PHYSICAL ${formatLsn(from.lsn)} TIMELINE ${from.timeline}`);
      const first = await this.#wire.read();
      if (first.type === TYPE.copyBoth) {
        return new PhysicalWalStream(this.#wire, { lsn: from.lsn, mode: { kind: "streaming" } });
      }
      // The position is the very end of an old timeline: no COPY, only the news where it goes on.
      if (first.type !== TYPE.rowDescription) throw unexpected(first, "the start of WAL");
      const next = await readNextTimeline(this.#wire, first);
      return new PhysicalWalStream(this.#wire, { lsn: from.lsn, mode: { kind: "ended", next } });
    });
  }

  async close(): Promise<void> {
    await this.#wire.close();
  }

  async #oneRow(command: string, options: CallOptions, codes?: CodesOfCommand): Promise<TextRow | undefined> {
    return (await this.#rows(command, options, codes))[0];
  }

  /** Runs a command whose answer is at most one result set. */
  async #rows(command: string, { signal }: CallOptions, codes?: CodesOfCommand): Promise<readonly TextRow[]> {
    const wire = this.#wire;
    const step = `running ${command} on ${wire.peer.name}`;
    return await wire.command({ step, signal, codes }, async () => {
      wire.query(command);
      const first = await wire.read();
      let message = first;
      let rows: readonly TextRow[] = [];
      if (first.type === TYPE.rowDescription) {
        rows = await wire.resultSet(`the answer of ${command}`, first);
        message = await wire.read();
      }
      while (message.type === TYPE.commandComplete) message = await wire.read();
      if (message.type !== TYPE.ready) throw unexpected(message, `the end of ${command}`);
      return rows;
    });
  }
}
