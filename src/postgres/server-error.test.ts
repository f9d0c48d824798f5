import assert from "node:assert/strict";
import { test } from "node:test";
import { hbaLine, type Peer, serverError } from "./server-error.ts";

const peer: Peer = {
  name: "db:5432",
  user: "lifeboat",
  database: undefined,
  clientAddress: "10.0.0.5",
  encrypted: true,
};

test("the line for pg_hba.conf names the way in, the role and our address", () => {
  assert.equal(hbaLine(peer), "hostssl  replication  lifeboat  10.0.0.5/32  scram-sha-256");
  assert.equal(
    hbaLine({ ...peer, encrypted: false, clientAddress: "::ffff:10.0.0.5", database: "Shop" }),
    'host  "Shop"  lifeboat  10.0.0.5/32  scram-sha-256',
  );
  assert.equal(
    hbaLine({ ...peer, clientAddress: "fd00::5" }),
    "hostssl  replication  lifeboat  fd00::5/128  scram-sha-256",
  );
  assert.equal(hbaLine({ ...peer, clientAddress: undefined }), "local  replication  lifeboat  scram-sha-256");
});

test("a code that means something to the command wins over its general meaning", () => {
  const report = { severity: "ERROR", sqlstate: "58P01", message: "gone", detail: undefined, hint: undefined };
  const context = { peer, step: "streaming" };
  assert.equal(serverError(report, context).code, "postgres.query-failed");
  const error = serverError(report, { ...context, codes: { "58P01": "postgres.wal-removed" } });
  assert.equal(error.code, "postgres.wal-removed");
  assert.equal(error.details["sqlstate"], "58P01");
  assert.ok(error.cause instanceof Error);
});

test("what passes by itself is retryable, what somebody must mend is not", () => {
  const of = (sqlstate: string) =>
    serverError(
      { severity: "FATAL", sqlstate, message: "no", detail: undefined, hint: undefined },
      { peer, step: "logging in" },
    );
  assert.deepEqual(
    ["53300", "57P03", "57P01", "28P01", "42501", "XX000"].map((sqlstate) => [
      of(sqlstate).code,
      of(sqlstate).retryable,
    ]),
    [
      ["postgres.too-many-connections", true],
      ["postgres.shutting-down", true],
      ["postgres.shutting-down", true],
      ["postgres.login-refused", false],
      ["postgres.not-permitted", false],
      ["postgres.query-failed", false],
    ],
  );
});
