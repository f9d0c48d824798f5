/**
 * What no PostgreSQL server sends: a peer that plays back bytes. Everything a real server does is tested with real servers.
 */
import assert from "node:assert/strict";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { isLifeboatError } from "../../errors/error.ts";
import type { ErrorCode } from "../../errors/registry.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Lsn, Timeline } from "../lsn.ts";
import { openQuery } from "../query-connection.ts";
import type { BaseBackupSink, ConnectOptions, ReplicationConnection } from "../replication.ts";
import { openReplication } from "../replication-connection.ts";

/** Login without a password, version 16.4, ready. */
const WELCOME = [
  message("R", int32(0)),
  message("S", "server_version\0", "16.4\0"),
  message("K", int32(7), int32(8)),
  ready(),
];

test("a peer that is silent is unreachable when the connect time is over, on TCP and in the question for TLS", async (t) => {
  const options = await peer(t, []);
  const short = { ...options, connectTimeoutMs: 50 };
  for (const open of [openReplication, openQuery]) {
    await assert.rejects(open(short, {}), isCode("postgres.unreachable"));
    await assert.rejects(open({ ...short, tls: { mode: "require" } }, {}), isCode("postgres.unreachable"));
  }
});

test("an abort while connecting is told as one, and the socket is given back", async (t) => {
  const options = await peer(t, []);
  for (const open of [openReplication, openQuery]) {
    const stop = new AbortController();
    const opening = open(options, { signal: stop.signal });
    setImmediate(() => stop.abort());
    await assert.rejects(opening, isCode("platform.aborted"));
    await assert.rejects(open(options, { signal: stop.signal }), isCode("platform.aborted"));
  }
});

test("bytes that come along with the answer to the question for TLS are refused", async (t) => {
  for (const open of [openReplication, openQuery]) {
    const options = await peer(t, [Buffer.from("SE")]);
    await assert.rejects(open({ ...options, tls: { mode: "require" } }, {}), isCode("postgres.protocol"));
  }
});

test("a peer that speaks something else is a protocol error", async (t) => {
  const options = await peer(t, [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")]);
  await assert.rejects(openReplication(options, {}), isCode("postgres.protocol"));
});

test("a peer that closes during the login has lost the connection", async (t) => {
  const options = await peer(t, [message("R", int32(0)), "close"]);
  await assert.rejects(openReplication(options, {}), isCode("postgres.connection-lost"));
});

test("a server older than 15 is refused", async (t) => {
  const options = await peer(t, [
    Buffer.concat([message("R", int32(0)), message("S", "server_version\0", "14.19\0"), ready()]),
  ]);
  await assert.rejects(openReplication(options, {}), isCode("postgres.version-unsupported"));
});

test("a server may not cut SCRAM short, nor ask for what we do not do", async (t) => {
  const scram = message("R", int32(10), "SCRAM-SHA-256\0\0");
  for (const [answer, code] of [
    [[scram, message("R", int32(0))], "postgres.protocol"],
    [[scram, message("R", int32(11), "r=evil,s=AAAA,i=1")], "postgres.login-refused"],
    [[message("R", int32(10), "SCRAM-SHA-1\0\0")], "postgres.login-refused"],
    [[message("R", int32(7))], "postgres.login-refused"],
    [[message("R", int32(3))], "postgres.login-refused"],
    [[message("R")], "postgres.protocol"],
  ] as const) {
    const options = await peer(t, answer);
    await assert.rejects(openReplication({ ...options, password: "secret" }, {}), isCode(code));
  }
});

test("a session for SQL with a server that asks for what we do not do, or that is none, is refused and ends nothing else", async (t) => {
  for (const password of ["secret", undefined]) {
    const gss = await peer(t, [message("R", int32(7), "token")]);
    await assert.rejects(openQuery({ ...gss, password }, {}), isCode("postgres.login-refused"));
    const other = await peer(t, [Buffer.concat([message("R", int32(0)), message("T", int16(2), "no end")])]);
    await assert.rejects(openQuery({ ...other, password }, {}), isCode("postgres.protocol"));
  }
});

test("an answer of the wrong shape is a protocol error", async (t) => {
  const sink: BaseBackupSink = { begin() {}, archive() {}, data() {}, manifest() {} };
  const row = (...values: string[]) => [message("T", int16(0)), dataRow(...values), message("C", "SELECT\0")];
  const begun = [...row("0/2000028", "1"), ...row(), message("H", Buffer.alloc(3))];
  const backup = (connection: ReplicationConnection) =>
    connection.baseBackup(
      { label: "x", checkpoint: "fast", waitForArchive: false, manifestChecksums: "none" },
      sink,
      {},
    );
  const wal = async (connection: ReplicationConnection) => {
    const stream = await connection.startWal({ lsn: 0x100n as Lsn, timeline: 1 as Timeline }, {});
    while ((await stream.next({ timeoutMs: 5000 })) !== undefined);
  };
  const cases: readonly (readonly [
    string,
    readonly Buffer[],
    (connection: ReplicationConnection) => Promise<unknown>,
  ])[] = [
    ["no row", [...row().slice(0, 1), message("C", "X\0"), ready()], (connection) => connection.identifySystem({})],
    ["a system id that is none", [...row("abc", "1", "0/0"), ready()], (connection) => connection.identifySystem({})],
    ["a bad length", [Buffer.from("5400000001", "hex")], (connection) => connection.identifySystem({})],
    ["a huge length", [Buffer.from("547fffffff", "hex")], (connection) => connection.identifySystem({})],
    ["bytes before an archive", [...begun, message("d", "dxyz")], backup],
    ["an archive with a path in its name", [...begun, message("d", "n../../etc/passwd.tar\0\0")], backup],
    ["no manifest", [...begun, message("d", "nbase.tar\0\0"), message("c")], backup],
    ["an unknown part", [...begun, message("d", "?")], backup],
    [
      "the end without CommandComplete",
      [...begun, message("d", "m"), message("c"), ...row("0/1", "1"), ready()],
      backup,
    ],
    ["a gap in WAL", [message("W", Buffer.alloc(3)), walData(0x100, "abc"), walData(0x104, "d")], wal],
    ["an unknown message among WAL", [message("W", Buffer.alloc(3)), message("d", "?")], wal],
    ["a row among WAL", [message("W", Buffer.alloc(3)), dataRow("x")], wal],
  ];
  for (const [name, answer, call] of cases) {
    const connection = await openReplication(await peer(t, [Buffer.concat(WELCOME), Buffer.concat(answer)]), {});
    await assert.rejects(call(connection), isCode("postgres.protocol"), name);
    await connection.close();
    await assert.rejects(connection.identifySystem({}), isCode("postgres.connection-lost"), name);
  }
});

test("a connection that closes in mid-command is lost, whole messages before that still count", async (t) => {
  const connection = await openReplication(
    await peer(t, [
      Buffer.concat(WELCOME),
      Buffer.concat([message("W", Buffer.alloc(3)), walData(0x100, "abc")]),
      "close",
    ]),
    {},
  );
  const stream = await connection.startWal({ lsn: 0x100n as Lsn, timeline: 1 as Timeline }, {});
  const group = await stream.next({ timeoutMs: 5000 });
  assert.equal(group?.length, 1);
  await assert.rejects(stream.next({ timeoutMs: 5000 }), isCode("postgres.connection-lost"));
  await assert.rejects(stream.stop({}), isCode("postgres.connection-lost"));
  await connection.close();
});

test("what arrived before a status that could not be sent is handed out before the connection is lost", async (t) => {
  const shutdown = message("E", "SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0");
  const connection = await openReplication(
    await peer(t, [
      Buffer.concat(WELCOME),
      Buffer.concat([message("W", Buffer.alloc(3)), walData(0x100, "abc"), shutdown]),
      "close",
    ]),
    {},
  );
  const stream = await connection.startWal({ lsn: 0x100n as Lsn, timeline: 1 as Timeline }, {});
  assert.equal((await stream.next({ timeoutMs: 5000 }))?.length, 1);
  // The first comes to a closed socket, and is answered by a reset; those after it meet that.
  for (let round = 0; round < 5; round += 1) {
    await stream.sendStatus({ written: 0x103n as Lsn, flushed: 0x103n as Lsn, applied: 0x103n as Lsn });
    await systemClock.sleep(20, {});
  }
  await assert.rejects(stream.next({ timeoutMs: 5000 }), isCode("postgres.shutting-down"));
  await connection.close();
});

test("each wait for WAL ends at its own time, whatever the one before it would have had", async (t) => {
  const begun = Buffer.concat([message("W", Buffer.alloc(3)), walData(0x100, "abc")]);
  const options = await peer(t, [Buffer.concat(WELCOME), begun, walData(0x103, "d"), walData(0x104, "e")]);
  const connection = await openReplication(options, {});
  const stream = await connection.startWal({ lsn: 0x100n as Lsn, timeline: 1 as Timeline }, {});
  const position = 0x103n as Lsn;
  const status = { written: position, flushed: position, applied: position };
  assert.equal((await stream.next({ timeoutMs: 5000 }))?.length, 1);

  const long = stream.next({ timeoutMs: 60_000 });
  await stream.sendStatus(status);
  assert.equal((await long)?.length, 1);
  const begin = systemClock.monotonic();
  assert.equal(await stream.next({ timeoutMs: 10 }), undefined);
  assert.ok(systemClock.monotonic() - begin < 30_000);

  const short = stream.next({ timeoutMs: 1000 });
  await stream.sendStatus(status);
  assert.equal((await short)?.length, 1);
  const before = systemClock.monotonic();
  assert.equal(await stream.next({ timeoutMs: 1200 }), undefined);
  assert.ok(systemClock.monotonic() - before >= 1200);
  await connection.close();
});

/** Listens on a port and answers each thing it hears with the next of these; gone when the test ends. */
async function peer(t: TestContext, answers: readonly (Buffer | "close")[]): Promise<ConnectOptions> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    let heard = 0;
    socket.on("data", () => {
      for (;;) {
        const answer = answers[heard];
        heard += 1;
        if (answer === undefined) return;
        if (answer === "close") socket.end();
        else socket.write(answer);
        if (answers[heard] !== "close") return;
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { host: "127.0.0.1", port: address.port, user: "x", applicationName: "test", connectTimeoutMs: 10_000 };
}

function message(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from(type), int32(body.byteLength + 4), body]);
}

function ready(): Buffer {
  return message("Z", "I");
}

function dataRow(...values: readonly string[]): Buffer {
  return message("D", int16(values.length), ...values.flatMap((value) => [int32(value.length), value]));
}

function walData(start: number, data: string): Buffer {
  const header = Buffer.alloc(25);
  header.write("w");
  header.writeBigUInt64BE(BigInt(start), 1);
  return message("d", header, data);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function isCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isLifeboatError(error), String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}
