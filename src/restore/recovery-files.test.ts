import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import type { Instant } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import type { Timeline } from "../postgres/lsn.ts";
import { RECOVERY_FOLDER, recoveryFiles } from "./recovery-files.ts";

const laid = ["00000002.history", "000000010000000000000005"];
const files = recoveryFiles({ target: { kind: "latest" }, timeline: 1 as Timeline, laid });

function textOf(name: string): string {
  return files.find((file) => file.path === name)?.text ?? "";
}

/** A data directory with the files of a recovery and the WAL that was laid, but `gone`. */
async function withCluster(gone: readonly string[], body: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    await systemFiles.makeFolder(path.join(folder, "pg_wal"));
    await systemFiles.makeFolder(path.join(folder, RECOVERY_FOLDER));
    const names = [...files.map((file) => file.path), ...laid.map((name) => `pg_wal/${name}`)];
    for (const name of names.filter((each) => !gone.includes(each))) {
      const handle = await systemFiles.open(path.join(folder, name), "create");
      await handle.write(Buffer.from(textOf(name)), 0);
      await handle.close();
    }
    await body(folder);
  });
}

/** Runs a command of the settings as the server does: by a shell, in the data directory, with its own words for %f. */
async function run(folder: string, setting: string, file = ""): Promise<number> {
  const command = new RegExp(`^${setting} = '(.*)'$`, "m").exec(textOf("postgresql.auto.conf"))?.[1] ?? "";
  const args = ["-c", command.replaceAll("%f", file)];
  const { exit } = await systemProcesses.run({ command: "sh", args, folder, timeoutMs: 10_000 });
  assert.equal(exit.kind, "exited");
  return exit.kind === "exited" ? exit.status : -1;
}

describe("the command that guards the end of the WAL", () => {
  test("says absent for what is not to be had, and for what the server finds in pg_wal", async () => {
    await withCluster([], async (folder) => {
      const notLaid = ["000000010000000000000006", "00000003.history", "000000010000000000000005.partial", "-q", ""];
      for (const name of [...laid, ...notLaid]) assert.equal(await run(folder, "restore_command", name), 1, name);
    });
  });

  test("stops recovery when WAL or a history that was laid is gone", async () => {
    await withCluster(
      laid.map((name) => `pg_wal/${name}`),
      async (folder) => {
        for (const name of laid) assert.equal(await run(folder, "restore_command", name), 200, name);
      },
    );
  });

  test("stops recovery when the list of what was laid, or the guard itself, is gone", async () => {
    for (const name of ["planned", "guard"]) {
      await withCluster([`${RECOVERY_FOLDER}/${name}`], async (folder) => {
        for (const each of [...laid, "000000010000000000000006"]) {
          // Above 125, so that PostgreSQL takes it for a failure and not for "there is no such file".
          assert.ok((await run(folder, "restore_command", each)) > 125, `${name} is gone, ${each} is asked for`);
        }
      });
    }
  });
});

describe("the settings of a recovery", () => {
  test("lose what is for the recovery only when it has ended, and nothing else", async () => {
    await withCluster([], async (folder) => {
      const file = path.join(folder, "postgresql.auto.conf");
      const before = (await systemFiles.readFile(file)).toString().split("\n");
      assert.equal(await run(folder, "recovery_end_command"), 0);
      const after = (await systemFiles.readFile(file)).toString().split("\n");
      assert.deepEqual(
        before.filter((line) => !after.includes(line)),
        before.filter((line) => line.startsWith("hot_standby")),
      );
      assert.equal(before.length - after.length, 1);
      assert.deepEqual(
        (await systemFiles.list(folder)).filter(({ name }) => name.endsWith(".lifeboat")),
        [],
      );
    });
  });

  test("cut the copy off from the cluster it was copied from", () => {
    const settings = textOf("postgresql.auto.conf");
    for (const name of [
      "primary_conninfo",
      "synchronous_standby_names",
      "primary_slot_name",
      "archive_cleanup_command",
    ]) {
      assert.match(settings, new RegExp(`^${name} = ''$`, "m"));
    }
  });

  test("name a moment as PostgreSQL reads it", () => {
    const time = Date.parse("2026-03-01T04:05:06.789Z") as Instant;
    const [auto] = recoveryFiles({
      target: { kind: "time", time, inclusive: true },
      timeline: 1 as Timeline,
      laid,
    }).filter((file) => file.path === "postgresql.auto.conf");
    assert.match(auto?.text ?? "", /^recovery_target_time = '2026-03-01 04:05:06\.789\+00'$/m);
  });
});
