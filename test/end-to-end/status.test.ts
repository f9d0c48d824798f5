/** `lifeboat status` against a real server, as a process of its own: what is known to end badly is told, and what cannot be seen. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { CommandLine } from "../support/command-line.ts";
import { newest } from "../support/majors.ts";
import { writeSegments } from "../support/segments.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { cheapenPassphrase } from "../support/vaults.ts";

type Status = {
  readonly server: { readonly kind: string };
  readonly risks: { readonly kind: string; readonly slots?: readonly { readonly name: string }[] };
  readonly faults: readonly { readonly code: string; readonly remedy: string }[];
};

/** Logs in as a role without any right but to log in, and for replication. */
function configure(cli: CommandLine, server: TestServer): void {
  cli.write("passphrase", "battery staple\n");
  cli.write("password", "poor\n");
  cli.write(
    "lifeboat.yaml",
    `server:
  host: 127.0.0.1
  port: ${server.server.setup.port}
  user: poor
  passwordFile: password
vault:
  path: ../vault
  passphraseFile: passphrase
folders:
  spool: ../spool
  state: ../state
`,
  );
}

for (const major of newest([15, 18])) {
  test(`PostgreSQL ${major}: status tells of slots and collations, on one screen and in JSON, and of a role that may not see them`, async () => {
    await using server = await startServer({
      major,
      name: "status",
      walSegmentBytes: 1_048_576,
      settings: { max_wal_size: "2MB", min_wal_size: "2MB", wal_keep_size: "0" },
    });
    await server.query("CREATE ROLE poor LOGIN REPLICATION PASSWORD 'poor'");
    const folder = await mkdtemp(path.join(memoryFolder(), "lifeboat-status-"));
    const cli = new CommandLine(path.join(folder, "conf"));
    const told = async (): Promise<readonly string[]> => {
      const { faults } = JSON.parse((await cli.expect(5, "status --json")).out) as Status;
      return faults
        .map(({ code }) => code)
        .filter((code) => !["no-backup", "receiver-never-ran", "slot"].includes(code));
    };
    try {
      configure(cli, server);
      await cli.expect(0, "vault init");
      await cheapenPassphrase(path.join(folder, "vault"), "battery staple");
      assert.deepEqual(await told(), []);
      await server.query("SELECT pg_create_physical_replication_slot('archive', true)");
      await server.query("CREATE DATABASE shop TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'");
      await server.query("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'shop'");
      await writeSegments(server, 4);
      assert.deepEqual(await told(), ["slot-idle", "collation-changed"]);
      const { out } = await cli.expect(5, "status");
      assert.match(out, /nobody reads from slot archive.*nothing limits it\n.*pg_drop_replication_slot\('archive'\)/);
      assert.match(
        out,
        /database shop by ICU \S+, was by 1\.0\n.*REINDEX DATABASE "shop";.*REFRESH COLLATION VERSION;/,
      );
      assert.ok(out.split("\n").length <= 24, out);

      await server.query("REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC");
      const blind = JSON.parse((await cli.expect(5, "status --json")).out) as Status;
      assert.equal(blind.server.kind, "reached");
      assert.equal(blind.risks.kind, "unreachable");
      assert.ok(blind.faults.some(({ code }) => code === "risks-unseen"));
    } finally {
      await cli.end();
      await rm(folder, { recursive: true, force: true });
    }
  });
}
