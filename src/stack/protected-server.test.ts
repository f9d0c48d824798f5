import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { type FollowingRecord, type MandateRecord, UNGOVERNED } from "../wal/mandate.ts";
import { checkProtected, type ProtectedFacts, protectedServer, readableRoles } from "./protected-server.ts";

const DB = { host: "127.0.0.1", port: 5432 };
const REPLICA = { host: "127.0.0.1", port: 5433 };
const SYSTEM = "7000000000000000001" as SystemId;

const afterFailover: FollowingRecord = {
  ...UNGOVERNED,
  epoch: 8,
  reign: 8,
  upstream: REPLICA,
  systemId: SYSTEM,
  timeline: 2 as Timeline,
};
const withdrawn: MandateRecord = { kind: "withdrawn", epoch: 9, contiguousWith: undefined };
const roles = (primary: "db" | "db_replica", action = false) => ({ primary, action, maintenance: false });

function meant(different: Partial<ProtectedFacts>) {
  const server = protectedServer({
    configured: DB,
    chosen: false,
    mandate: afterFailover,
    record: roles("db_replica"),
    ...different,
  });
  return server.kind === "server" ? server.at : server.kind;
}

test("after a failover the new primary is meant, whatever is configured; where nobody ever decided, what is configured", () => {
  assert.equal(meant({}), REPLICA);
  assert.equal(meant({ record: undefined }), REPLICA, "the record is not everybody's to read");
  assert.equal(meant({ mandate: { ...afterFailover, upstream: DB }, record: roles("db") }), DB);
  assert.equal(meant({ mandate: UNGOVERNED, record: undefined }), DB);
});

test("while it is being decided, or the receiver follows another than the record names, nobody is meant", () => {
  assert.equal(meant({ mandate: withdrawn }), "unsettled");
  assert.equal(meant({ mandate: withdrawn, chosen: true }), "unsettled");
  assert.equal(meant({ record: roles("db_replica", true) }), "unsettled");
  assert.equal(meant({ record: roles("db") }), "unsettled");
  assert.equal(meant({ mandate: { ...afterFailover, upstream: DB } }), "unsettled");
});

test("an address that a person gives for one call is taken: a replica may be backed up, an old primary may not", () => {
  const server = protectedServer({ configured: DB, chosen: true, mandate: afterFailover, record: roles("db_replica") });
  assert(server.kind === "server");
  assert.equal(server.at, DB);
  checkProtected({ systemId: SYSTEM, timeline: 2 as Timeline }, server.terms);
  checkProtected({ systemId: SYSTEM, timeline: 3 as Timeline }, server.terms);
  const refused = (code: "wal.timeline-behind" | "wal.foreign-system", timeline: number, systemId = SYSTEM): void =>
    assert.throws(
      () => checkProtected({ systemId, timeline: timeline as Timeline }, server.terms),
      (error) => isLifeboatError(error, code),
    );
  refused("wal.timeline-behind", 1);
  refused("wal.foreign-system", 2, "7000000000000000002" as SystemId);
  checkProtected({ systemId: SYSTEM, timeline: 1 as Timeline }, undefined);
});

test("a record is read as far as it is there and ours to read; a damaged one is told", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-roles-"));
  try {
    assert.equal(await readableRoles(systemFiles, folder), undefined);
    const value = { primary: "db_replica", action: { kind: "failover" }, maintenance: false, more: 1 };
    const record = { format: "lifeboat-record", version: 1, revision: 3, epoch: 8, value };
    await writeFile(path.join(folder, "record.json"), JSON.stringify(record));
    assert.deepEqual(await readableRoles(systemFiles, folder), roles("db_replica", true));
    const denied = async (): Promise<never> => {
      throw new LifeboatError("platform.file-denied", { message: "no", remedy: "Run as root." });
    };
    assert.equal(await readableRoles({ ...systemFiles, readFile: denied }, folder), undefined);
    await writeFile(path.join(folder, "record.json"), "{");
    await assert.rejects(readableRoles(systemFiles, folder), { code: "lease.record-damaged" });
  } finally {
    await rm(folder, { recursive: true });
  }
});
