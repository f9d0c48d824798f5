/** What is answered when nobody confirms a commit: an instance on a server whose confirmers are away. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { offer } from "../../test/support/catalogue.ts";
import { OPERATOR_KEY, startService, type TestService } from "../../test/support/catalogue-service.ts";
import { eventually } from "../../test/support/receivers.ts";

let service: TestService;

before(async () => {
  service = await startService();
  await eventually("ready", async () => (await service.call("GET", "/health/ready")).status === 200);
});
after(async () => {
  await service?.[Symbol.asyncDispose]();
});
afterEach(async () => {
  await confirmedBy("");
});

async function confirmedBy(names: string): Promise<void> {
  await service.server.query(`alter system set synchronous_standby_names = '${names}'`);
  await service.server.query("select pg_reload_conf()");
  await eventually("it is taken over", async () => {
    return (await service.server.value("show synchronous_standby_names")) === names;
  });
}

const NOBODY = "ANY 1 (nobody)";
/** Not the instance's own counts of calls, which it writes beside. */
const waiting = `select pid from pg_stat_activity a where wait_event = 'SyncRep'
  and not exists (select from pg_locks l where l.pid = a.pid and l.relation = 'api_usage'::regclass)`;

/** A commit waits for who confirms it. */
async function waits(): Promise<void> {
  await eventually("a commit waits", async () => (await service.server.query(waiting)).length > 0);
}

const ingest = async (sku: string, headers: Record<string, string> = {}) =>
  await service.call("POST", "/v1/ingest/products", {
    key: OPERATOR_KEY,
    body: { source: "s", products: [offer({ sku })] },
    headers,
  });

/** What a call is answered, once its commit was seen to wait and was confirmed. */
async function afterWaiting<T>(asked: Promise<T>): Promise<T> {
  await waits();
  await confirmedBy("");
  return await asked;
}

test("a commit whose wait was cancelled is unknown and not done, also where warnings are hidden", async () => {
  const cancel = async (headers: Record<string, string>) => {
    await confirmedBy(NOBODY);
    const asked = ingest("C-1", headers);
    await waits();
    await service.server.query(`select pg_cancel_backend(pid) from (${waiting}) as w`);
    const { status, body } = await asked;
    await confirmedBy("");
    return [status, body.error?.code];
  };
  const unknown = [503, "OUTCOME_UNKNOWN"];
  assert.deepEqual(await cancel({}), unknown);
  await service.server.query("alter database postgres set client_min_messages = error");
  const others = "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
  await service.server.query(`select pg_terminate_backend(pid) ${others}`);
  const headers = { "idempotency-key": randomUUID() };
  assert.deepEqual(await cancel(headers), unknown);
  await service.server.query("alter database postgres reset client_min_messages");
  // By the same key it is told what came of it, when that is confirmed.
  await confirmedBy(NOBODY);
  const { status, headers: answered } = await afterWaiting(ingest("C-1", headers));
  assert.deepEqual([status, answered.get("idempotent-replayed")], [200, "true"]);
});

test("what is there after a crash and was confirmed by nobody is acknowledged to who repeats it when it is confirmed", async () => {
  await confirmedBy(NOBODY);
  const headers = { "idempotency-key": randomUUID() };
  const asked = ingest("R-1", headers);
  await waits();
  await service.server.stop("immediate");
  await service.server.start();
  // The instance itself repeats it.
  const { status, headers: answered } = await afterWaiting(asked);
  assert.deepEqual([status, answered.get("idempotent-replayed")], [200, "true"]);
});

test("a key that was rotated is told again when that is confirmed", async () => {
  const register = { "idempotency-key": randomUUID() };
  const made = await service.call("POST", "/v1/auth/register", { body: { agent_name: "t" }, headers: register });
  await confirmedBy(NOBODY);
  const again = await afterWaiting(
    service.call("POST", "/v1/auth/register", { body: { agent_name: "t" }, headers: register }),
  );
  assert.deepEqual([again.status, again.body], [201, made.body]);
  const rotate = { key: made.body.api_key, headers: { "idempotency-key": randomUUID() } };
  const rotated = await service.call("POST", "/v1/keys/rotate", rotate);
  await confirmedBy(NOBODY);
  const told = await afterWaiting(service.call("POST", "/v1/keys/rotate", rotate));
  assert.deepEqual([told.status, told.body], [201, rotated.body]);
});
