import assert from "node:assert/strict";
import { appendFile, utimes } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { prove } from "../../test/support/proofs.ts";
import { PORTS, startServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { listProofs } from "../vault/proofs.ts";
import type { ProofProgress } from "./act.ts";
import { removeLeftSandboxes } from "./sandbox.ts";

const MIB = 1024 * 1024;

const ports = { ...PORTS, locks: systemLocks, random: systemRandom };

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await systemFiles.list(folder)).map(({ name }) => name);
}

describe("a sandbox", () => {
  test("starts whatever the cluster was configured to do, does none of it, and needs no role that can log in", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer();
      const touched = path.join(server.folder, "archived");
      for (const setting of [
        "archive_mode = on",
        `archive_command = 'touch ${touched}'`,
        "shared_preload_libraries = 'of_another_machine'",
        "listen_addresses = '*'",
        "synchronous_standby_names = 'somebody'",
        "shared_buffers = '4TB'",
        "max_connections = 500",
        "ssl = on",
        "logging_collector = on",
        "log_directory = '/of/another/machine'",
        "unix_socket_directories = '/of/another/machine'",
        "hba_file = '/of/another/machine/pg_hba.conf'",
        "default_transaction_read_only = on",
      ]) {
        await server.query(`ALTER SYSTEM SET ${setting}`);
      }
      await appendFile(path.join(server.dataFolder, "postgresql.conf"), `data_directory = '${server.dataFolder}'\n`);
      await server.query(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$",
      );
      await server.query("CREATE EVENT TRIGGER refusing ON ddl_command_start EXECUTE FUNCTION refuse()");
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      const proof = await prove({ vault, backup, server, folder }, "checked", { role: "nobody_of_this_name" });
      assert.deepEqual([proof.reached, proof.findings], ["checked", []]);
      assert.equal(await systemFiles.stat(touched), undefined);
    });
  });

  test("is fed the WAL that does not fit beside its data", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer({ walSegmentBytes: MIB });
      await server.query("CREATE TABLE t (id int, filler text)");
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      for (let round = 1; round <= 6; round += 1) {
        await server.query(`INSERT INTO t SELECT ${round}, repeat(md5(g::text), 20) FROM generate_series(1, 600) g`);
        await server.query("SELECT pg_switch_wal()");
      }
      await storeServerWal(server, vault);
      const laid: number[] = [];
      const proof = await prove({ vault, backup, server, folder }, "booted", {
        walLaidBytesMax: 2 * MIB,
        onProgress: ({ step, total }) => laid.push(step === "wal" ? (total ?? 0) : 0),
      });
      assert.deepEqual([proof.reached, proof.findings], ["booted", []]);
      assert.ok(proof.walBytes > 4 * MIB, `${proof.walBytes} bytes replayed`);
      assert.equal(Math.max(...laid), 2 * MIB);
    });
  });

  test("says which library it lacks, and records nothing of a backup that is not at fault", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer();
      await server.query("CREATE DATABASE shop");
      const lost = "CREATE FUNCTION lost() RETURNS int LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'";
      await server.query(lost, [], { database: "shop" });
      // As it is on a machine that has no such library.
      const moved = "UPDATE pg_proc SET probin = '$libdir/of_another_machine' WHERE proname = 'lost'";
      await server.query(moved, [], { database: "shop" });
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      const invariants = [{ name: "asks", database: "shop", expect: "no-rows", sql: "SELECT lost()" }] as const;
      await assert.rejects(prove({ vault, backup, server, folder }, "checked", { invariants }), (error) => {
        assert.ok(isLifeboatError(error, "proof.library-missing"));
        return /of_another_machine/.test(error.message);
      });
      assert.deepEqual((await listProofs(vault, {}, {})).proofs, []);
      assert.deepEqual(await namesIn(folder), []);
    });
  });

  test("stopped on request at any step leaves no server, no folder and no proof", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer();
      const vault = await createTestVault();
      const backup = await takeTestBackup(server, vault);
      const sandboxes = path.join(folder, "sandboxes");
      for (const step of [
        "reading",
        "files",
        "wal",
        "sync",
        "replaying",
        "pages",
        "relations",
        "invariants",
      ] as const) {
        const stopping = new AbortController();
        let pid = 0;
        const onProgress = (progress: ProofProgress): void => {
          if (progress.step === step) stopping.abort(new Error("stopped by the test"));
        };
        const started: typeof systemProcesses.start = async (request) => {
          const running = await PORTS.processes.start(request);
          pid = running.pid;
          return running;
        };
        const stopped = prove({ vault, backup, server, folder: sandboxes }, "checked", {
          onProgress,
          signal: stopping.signal,
          processes: { ...PORTS.processes, start: started },
          invariants: [{ name: "asks", database: "postgres", expect: "no-rows", sql: "SELECT 1 WHERE false" }],
        });
        await assert.rejects(stopped, { code: "platform.aborted" }, step);
        assert.deepEqual(await namesIn(sandboxes).catch(() => []), [], step);
        assert.equal(pid > 0, !["reading", "files", "wal", "sync", "replaying"].includes(step), step);
        if (pid > 0) assert.equal(await systemProcesses.isAlive(pid), false, step);
      }
      assert.deepEqual((await listProofs(vault, {}, {})).proofs, []);
    });
  });
});

describe("what a killed proof left", () => {
  test("is told from the folder that another proof is just making or removing", async () => {
    await withFolder(async (folder) => {
      for (const name of ["proof-00000001", "proof-00000002"]) {
        await systemFiles.makeFolder(path.join(folder, name), 0o755);
      }
      const gone = path.join(folder, "proof-00000002");
      const list: typeof systemFiles.list = async (of) => {
        if (of === gone) await systemFiles.removeTree(gone);
        return systemFiles.list(of);
      };
      assert.deepEqual(await removeLeftSandboxes({ ...ports, files: { ...systemFiles, list } }, folder), []);
      assert.deepEqual(await namesIn(folder), ["proof-00000001"]);
    });
  });

  test("is ended and removed, and nothing else is touched", async () => {
    await withFolder(async (folder) => {
      const marker = '{"format":"lifeboat-sandbox","version":1,"startedAt":"2026-01-01T03:00:00.000Z"}\n';
      const make = async (name: string, files: Readonly<Record<string, string>>): Promise<void> => {
        await systemFiles.makeFolder(path.join(folder, name), 0o755);
        for (const [file, text] of Object.entries(files)) {
          const handle = await systemFiles.open(path.join(folder, name, file), "create", 0o600);
          await handle.write(Buffer.from(text), 0);
          await handle.close();
        }
      };
      await make("proof-00000001", { "lifeboat-sandbox.json": marker, "server.log": "x" });
      await make("proof-00000002", { lock: "" });
      await utimes(path.join(folder, "proof-00000002"), new Date(0), new Date(0));
      await make("proof-00000003", { "lifeboat-sandbox.json": marker });
      await make("proof-00000004", { "somebody's": "data" });
      await make("proof-00000005", { "lifeboat-sandbox.json": "{}" });
      await make("demo-00000006", { "lifeboat-sandbox.json": marker });
      const held = systemLocks.tryAcquire(path.join(folder, "proof-00000003", "lock"));
      assert.ok(held !== undefined);
      const removed = await removeLeftSandboxes(ports, folder);
      held.release();
      assert.deepEqual(
        removed.map((each) => path.basename(each)),
        ["proof-00000001", "proof-00000002"],
      );
      assert.deepEqual(await namesIn(folder), ["demo-00000006", "proof-00000003", "proof-00000004", "proof-00000005"]);
      assert.deepEqual(await removeLeftSandboxes(ports, path.join(folder, "not there")), []);
    });
  });
});
