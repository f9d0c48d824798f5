import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { eventually } from "../../../test/support/receivers.ts";
import { giveTo, MAJORS, serverUser, startServer, type TestServer } from "../../../test/support/servers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import type { ErrorCode } from "../../errors/registry.ts";
import { openQuery } from "../query-connection.ts";
import type { ConnectOptions, ReplicationConnection } from "../replication.ts";
import { openReplication } from "../replication-connection.ts";

const HBA = [
  "local all all trust",
  "local replication all trust",
  "host all,replication hashed 127.0.0.1/32 md5",
  "host all,replication plain 127.0.0.1/32 password",
  "hostssl all,replication secure 127.0.0.1/32 scram-sha-256",
  "host all,replication lifeboat,nobody,weak 127.0.0.1/32 scram-sha-256",
  "",
].join("\n");

/** A certificate for localhost, signed by an authority of its own. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority");
  openssl("req", "-x509", ...key, "-keyout", "other.key", "-out", "other.crt", "-subj", "/CN=another authority");
  openssl(
    ...["req", "-x509", ...key, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.crt"],
    ...[
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-addext",
      "basicConstraints=critical,CA:FALSE",
    ],
  );
}

async function openBoth(options: ConnectOptions): Promise<void> {
  for (const open of [openReplication, openQuery]) {
    const connection = await open(options, {});
    await connection.close();
  }
}

async function refusesBoth(options: ConnectOptions, code: ErrorCode): Promise<readonly string[]> {
  const remedies: string[] = [];
  for (const open of [openReplication, openQuery]) {
    await assert.rejects(open(options, {}), (error) => {
      assert.ok(isLifeboatError(error), String(error));
      assert.equal(error.code, code, error.message);
      remedies.push(error.remedy);
      return true;
    });
  }
  return remedies;
}

/** The server's address with some of it changed. */
function at(server: TestServer, over: Partial<ConnectOptions>): ConnectOptions {
  return { ...server.server.address(), ...over };
}

async function prepare(server: TestServer): Promise<void> {
  writeFileSync(path.join(server.dataFolder, "pg_hba.conf"), HBA);
  await server.start();

  await server.query("CREATE ROLE lifeboat LOGIN REPLICATION PASSWORD 'rosé-ﬁx'");
  await server.query("CREATE ROLE secure LOGIN REPLICATION PASSWORD 'secret'");
  await server.query("CREATE ROLE weak LOGIN PASSWORD 'secret'");
  await server.query("CREATE ROLE plain LOGIN REPLICATION PASSWORD 'secret'");
  await server.query("SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN REPLICATION PASSWORD 'secret'");
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: logs in with SCRAM, md5 and over a Unix socket, and says why it cannot`, async () => {
    await using server = await startServer({ major, name: "login", started: false, settings: { max_wal_senders: 2 } });
    await prepare(server);
    const tcp = { host: "127.0.0.1", user: "lifeboat", password: "rosé-fix", database: "postgres" };

    await openBoth(at(server, tcp));
    await openBoth(at(server, { ...tcp, user: "hashed", password: "secret" }));
    await openBoth(server.server.address());

    for (const user of ["lifeboat", "hashed", "nobody"]) {
      const remedies = await refusesBoth(at(server, { ...tcp, user, password: "wrong" }), "postgres.login-refused");
      for (const remedy of remedies) assert.match(remedy, new RegExp(`role "${user}"`));
    }
    await refusesBoth(at(server, { ...tcp, password: undefined }), "postgres.login-refused");
    const [replication, ordinary] = await refusesBoth(
      at(server, { ...tcp, user: "stranger" }),
      "postgres.login-refused",
    );
    assert.match(replication ?? "", /"host {2}replication {2}stranger {2}127\.0\.0\.1\/32 {2}scram-sha-256"/);
    assert.match(ordinary ?? "", /"host {2}postgres {2}stranger {2}127\.0\.0\.1\/32 {2}scram-sha-256"/);
    await assert.rejects(openQuery(at(server, { database: "absent" }), {}), isCode("postgres.login-refused"));

    await assert.rejects(openReplication(at(server, { ...tcp, user: "weak", password: "secret" }), {}), (error) => {
      assert.ok(isLifeboatError(error, "postgres.not-permitted"), String(error));
      assert.match(error.remedy, /ALTER ROLE "weak" REPLICATION/);
      return true;
    });

    // The senders of sessions that were closed a moment ago may not have ended.
    const hold = (): Promise<ReplicationConnection> =>
      eventually("a sender is free", () =>
        openReplication(server.server.address(), {}).catch((error: unknown) => {
          if (!isLifeboatError(error, "postgres.too-many-connections")) throw error;
          return undefined;
        }),
      );
    const held = [await hold(), await hold()];
    await assert.rejects(openReplication(server.server.address(), {}), (error) => {
      assert.ok(isLifeboatError(error, "postgres.too-many-connections"), String(error));
      return error.retryable;
    });
    await Promise.all(held.map((connection) => connection.close()));

    await server.stop();
    const remedies = await refusesBoth(at(server, tcp), "postgres.unreachable");
    assert.equal(remedies.length, 2);
    await refusesBoth(server.server.address(), "postgres.unreachable");
  });

  test(`PostgreSQL ${major}: TLS encrypts with require and checks the certificate with verify-full`, async () => {
    await using server = await startServer({ major, name: "tls", started: false });
    await prepare(server);
    const tcp = { host: "localhost", user: "secure", password: "secret", database: "postgres" };
    const file = (name: string) => path.join(server.folder, name);

    // Without ssl on the server.
    await refusesBoth(at(server, { ...tcp, tls: { mode: "require" } }), "postgres.tls-failed");

    makeCertificates(server.folder);
    for (const name of ["server.crt", "server.key"]) copyFileSync(file(name), path.join(server.dataFolder, name));
    chmodSync(path.join(server.dataFolder, "server.key"), 0o600);
    await giveTo(await serverUser(), server.dataFolder);
    await server.query("ALTER SYSTEM SET ssl = on");
    await server.restart();

    await openBoth(at(server, { ...tcp, tls: { mode: "require" } }));
    await openBoth(at(server, { ...tcp, tls: { mode: "verify-full", caFile: file("ca.crt") } }));
    const connection = await openReplication(at(server, { ...tcp, tls: { mode: "require" } }), {});
    const seen = await server.query("SELECT ssl FROM pg_stat_ssl WHERE pid = $1", [connection.backendPid]);
    assert.deepEqual(seen, [{ ssl: true }]);
    await connection.close();

    const refused = "postgres.tls-failed";
    await refusesBoth(at(server, { ...tcp, tls: { mode: "verify-full", caFile: file("other.crt") } }), refused);
    await refusesBoth(at(server, { ...tcp, tls: { mode: "verify-full" } }), refused);
    // The certificate names localhost, not this address.
    await refusesBoth(
      at(server, { ...tcp, host: "127.0.0.1", tls: { mode: "verify-full", caFile: file("ca.crt") } }),
      refused,
    );
    // hostssl only: the remedy names the line for a connection without TLS.
    await refusesBoth(at(server, tcp), "postgres.login-refused");
    // A password in the clear goes out over TLS, and not without.
    await openBoth(at(server, { ...tcp, user: "plain", tls: { mode: "require" } }));
    await refusesBoth(at(server, { ...tcp, user: "plain" }), "postgres.login-refused");
  });
}

function isCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isLifeboatError(error), String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}
