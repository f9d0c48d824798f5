import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { readPoolerAnswer } from "../pooler/pooler-answers.ts";
import { isSessionUsable, outcomeOfFailure, outcomeOfRead, reasonOf } from "./outcome.ts";

/** An error of PgBouncer: without the routine that PostgreSQL names. */
function fromPooler(message: string, severity = "FATAL"): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError(message, 0, "error"), { severity, code: "08P01" });
}

function fromServer(code: string, severity: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError("words", 0, "error"), { severity, code, routine: "ProcessInterrupts" });
}

test("only what the pooler says before it has a server makes a write failed", () => {
  for (const [message, reason] of [
    ["server login has been failing, try again later (server_login_retry)", "pgb-login-failing"],
    ["server login has been failing, cached error: connect failed (server_login_retry)", "pgb-login-failing"],
    ["pgbouncer cannot connect to server", "pgb-login-failing"],
    ["query_wait_timeout", "pgb-query-wait-timeout"],
    ["no such database: shop", "pgb-no-database"],
  ] as const) {
    assert.deepEqual(outcomeOfFailure(fromPooler(message)), { kind: "failed", reason, sent: true });
  }
});

test("what it says of a server at work leaves a write unknown, whatever severity it gives, and so do words not known", () => {
  for (const [message, reason] of [
    ["server conn crashed?", "pgb-server-crashed"],
    ["database removed", "pgb-killed"],
    ["database configuration changed", "pgb-config-changed"],
    ["something new 4711", "pgb: something new N"],
  ] as const) {
    for (const severity of ["FATAL", "ERROR"]) {
      assert.deepEqual(outcomeOfFailure(fromPooler(message, severity)), { kind: "unknown", reason });
    }
  }
  assert.equal(readPoolerAnswer("x".repeat(1_000)).reason.length, 65);
});

test("a refused login that the pooler hands on was no execution; an ended session may have committed", () => {
  assert.deepEqual(outcomeOfFailure(fromServer("57P03", "FATAL")), {
    kind: "failed",
    reason: "starting-up",
    sent: true,
  });
  assert.deepEqual(outcomeOfFailure(fromServer("57P01", "FATAL")), { kind: "unknown", reason: "admin-shutdown" });
  assert.deepEqual(outcomeOfFailure(fromServer("25006", "ERROR")), {
    kind: "failed",
    reason: "read-only-primary",
    sent: true,
  });
});

test("a session goes on after the server's ERROR alone", () => {
  assert.equal(isSessionUsable(fromServer("25006", "ERROR")), true);
  assert.equal(isSessionUsable(fromServer("57P01", "FATAL")), false);
  assert.equal(isSessionUsable(fromPooler("database removed", "ERROR")), false);
  assert.equal(isSessionUsable(new Error("gone")), false);
});

test("a read without an answer has failed, for it changes nothing", () => {
  assert.deepEqual(outcomeOfRead({ kind: "unknown", reason: "x" }), { kind: "failed", reason: "x", sent: true });
  assert.deepEqual(outcomeOfRead({ kind: "ok" }), { kind: "ok" });
  assert.equal(reasonOf(fromPooler("server login has been failing")), "pgb-login-failing");
});
