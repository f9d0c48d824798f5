/** What a server's commits wait for where nobody has chosen otherwise, as failover sees it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { observe, POLICY, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { eventually } from "../../test/support/receivers.ts";
import { MAJORS, SUPERUSER, type TestServer, withServer } from "../../test/support/servers.ts";
import { decideFailover } from "../failover/decide.ts";
import type { NodeProbe, NodeView } from "../failover/ports.ts";
import { systemClock } from "../platform/clock.ts";
import { SqlNode } from "./node.ts";

type Primary = NodeView & { readonly role: { readonly kind: "primary" } };

/** What it says to a session that begins now. */
async function lookAt(server: TestServer): Promise<{ readonly probe: NodeProbe; readonly view: Primary }> {
  const { socketFolder: host, port } = server.server.setup;
  const { name: user, password } = SUPERUSER;
  const node = new SqlNode(systemClock, {
    name: "a",
    address: {
      host,
      port,
      user,
      password,
      tls: { mode: "disable" },
      applicationName: "lifeboat_node",
      connectTimeoutMs: 5_000,
    },
    connectionTo: () => ({ conninfo: "", slot: "a" }),
    freeBytes: async () => 7_000_000,
    cloning: () => false,
  });
  const probe = await node.probe({ timeoutMs: 5_000 });
  assert.ok(probe.kind === "answered" && probe.view.role.kind === "primary", inspect(probe));
  return { probe, view: { ...probe.view, role: probe.view.role } };
}

async function says(server: TestServer, expected: string, ...statements: readonly string[]): Promise<void> {
  for (const sql of statements) await server.query(sql);
  await server.query("SELECT pg_reload_conf()");
  await eventually(`it says ${expected} after ${statements.join("; ")}`, async () => {
    const { role } = (await lookAt(server)).view;
    return role.synchronousCommit === expected;
  });
}

for (const major of MAJORS) {
  test(`on PostgreSQL ${major} the view has the synchronous_commit of whoever has none of their own, whatever our own role has`, async () => {
    await withServer({ major }, async (server) => {
      const ours = SUPERUSER.name;
      await says(server, "on");
      await says(server, "local", "ALTER SYSTEM SET synchronous_commit = 'local'");
      await says(server, "local", `ALTER ROLE ${ours} SET synchronous_commit = 'on'`);
      await says(server, "remote_write", "ALTER ROLE ALL SET synchronous_commit = 'remote_write'");
      await says(server, "remote_write", `ALTER ROLE ${ours} RESET synchronous_commit`);
      await says(server, "local", "ALTER ROLE ALL RESET synchronous_commit");
      await says(
        server,
        "on",
        "ALTER SYSTEM RESET synchronous_commit",
        `ALTER DATABASE postgres SET synchronous_commit = 'off'`,
      );
    });
  });
}

test("a primary that was seen to acknowledge without its confirmers, by synchronous_commit, is not replaced as if nothing could be missing", async () => {
  await withServer({ major: 16 }, async (server) => {
    await server.query("CREATE TABLE t (a int)");
    await says(
      server,
      "local",
      "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (b, lifeboat_vault_e7)'",
      "ALTER SYSTEM SET synchronous_commit = 'local'",
    );
    // Acknowledged though nobody is connected.
    await server.query("INSERT INTO t VALUES (1)");
    const { probe, view } = await lookAt(server);
    const { systemId, timeline } = view;
    const b = standbyAnswer({}, { systemId, timeline });
    const witness = witnessAnswer({ systemId, held: { ...witnessAnswer().held, timeline } });
    const gone = [200, 400].map((atMs) => ({ atMs, a: { kind: "nobody-listens" } as const, b, witness }));
    const seen = observe([{ atMs: 0, a: probe, b, witness }, ...gone], { ...RECORD, systemId, timeline });
    const decision = decideFailover(seen, POLICY);
    assert.equal(decision.kind, "blocked");
    assert.ok(decision.reasons.some(({ code }) => code === "commits-not-synced"));
  });
});
