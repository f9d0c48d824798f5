import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { eventually } from "../../test/support/receivers.ts";
import { systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { ownAccessRules, RECOVERY_FOLDER, recoveryFiles, standbyFiles } from "./recovery-files.ts";
import type { ServerTarget } from "./target.ts";

const laid = ["00000002.history", "000000010000000000000005"];
const fed = ["000000010000000000000006", "000000010000000000000007"];
const rest = { laid, fed, moved: [16400], replayed: { from: 0x3000060n as Lsn, to: 0x4000000n as Lsn } };
const files = recoveryFiles({ target: { kind: "latest" }, timeline: 1 as Timeline, ...rest });

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
  const { exit } = await runTold(folder, setting, file);
  assert.equal(exit.kind, "exited");
  return exit.kind === "exited" ? exit.status : -1;
}

function runTold(folder: string, setting: string, file: string) {
  const command = new RegExp(`^${setting} = '(.*)'(?: #.*)?$`, "m").exec(textOf("postgresql.auto.conf"))?.[1] ?? "";
  const args = ["-c", command.replaceAll("%f", file).replaceAll("%p", "pg_wal/RECOVERYXLOG")];
  return systemProcesses.run({ command: "sh", args, folder, timeoutMs: 10_000 });
}

describe("the command that guards the end of the WAL", () => {
  test("says absent for what is not to be had, and for what the server finds in pg_wal", async () => {
    await withCluster([], async (folder) => {
      const notLaid = ["000000010000000000000008", "00000003.history", "000000010000000000000005.partial", "-q", ""];
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
    for (const name of ["planned", "fed", "guard"]) {
      await withCluster([`${RECOVERY_FOLDER}/${name}`], async (folder) => {
        for (const each of [...laid, "000000010000000000000008"]) {
          // What is laid is on a list of its own.
          if (name === "fed" && laid.includes(each)) continue;
          // Above 125, so that PostgreSQL takes it for a failure and not for "there is no such file".
          assert.ok((await run(folder, "restore_command", each)) > 125, `${name} is gone, ${each} is asked for`);
        }
      });
    }
  });
});

describe("the command that hands out WAL that is fed", () => {
  const [name = ""] = fed;
  const spool = `${RECOVERY_FOLDER}/spool`;

  async function write(folder: string, file: string, text: string): Promise<void> {
    await systemFiles.makeFolder(path.dirname(path.join(folder, file)));
    const handle = await systemFiles.open(path.join(folder, file), "create");
    await handle.write(Buffer.from(text), 0);
    await handle.close();
  }

  async function textIn(folder: string, file: string): Promise<string> {
    return (await systemFiles.readFile(path.join(folder, file))).toString();
  }

  test("asks for a segment, waits, and takes it from the spool, whatever lies in pg_wal under its name", async () => {
    await withCluster([], async (folder) => {
      await write(folder, `pg_wal/${name}`, "old");
      await write(folder, `${spool}/feeder`, "1\n");
      const answer = run(folder, "restore_command", name);
      await eventually(
        "it is asked for",
        async () => (await systemFiles.stat(path.join(folder, spool, "want"))) !== undefined,
      );
      assert.equal(await textIn(folder, `${spool}/want`), `${name}\n`);
      await write(folder, `${spool}/${name}`, "new");
      assert.equal(await answer, 0);
      assert.equal(await textIn(folder, "pg_wal/RECOVERYXLOG"), "new");
      const left = await systemFiles.list(path.join(folder, spool));
      assert.deepEqual(
        left.map((each) => each.name),
        ["feeder"],
      );
    });
  });

  test("stops recovery when a segment cannot be had, and says why", async () => {
    await withCluster([], async (folder) => {
      await write(folder, `${spool}/${name}.failed`, "the disk is gone\n");
      const { exit, stderr } = await runTold(folder, "restore_command", name);
      assert.deepEqual(exit, { kind: "exited", status: 206 });
      assert.match(stderr, new RegExp(`^lifeboat: ${name}: the disk is gone`));
    });
  });

  test("stops recovery when nobody feeds, and says what to run", async () => {
    await withCluster([], async (folder) => {
      await systemFiles.makeFolder(path.join(folder, spool));
      const guard = path.join(folder, RECOVERY_FOLDER, "guard");
      const text = (await systemFiles.readFile(guard)).toString();
      const hasty = text.replace(/^silent_looks_max=1200$/m, "silent_looks_max=3");
      assert.notEqual(hasty, text);
      await systemFiles.remove(guard);
      await write(folder, `${RECOVERY_FOLDER}/guard`, hasty);
      const { exit, stderr } = await runTold(folder, "restore_command", name);
      assert.deepEqual(exit, { kind: "exited", status: 207 });
      assert.match(stderr, /run lifeboat wal feed --target \/.+, then start the server again$/m);
    });
  });

  test("stops recovery when it cannot ask", async () => {
    await withCluster([], async (folder) => {
      assert.equal(await run(folder, "restore_command", name), 203);
    });
  });
});

describe("the settings of a recovery", () => {
  test("lose what is for the recovery only when it has ended, and nothing else", async () => {
    await withCluster([], async (folder) => {
      const file = path.join(folder, "postgresql.auto.conf");
      assert.equal(await run(folder, "recovery_end_command"), 0);
      const after = (await systemFiles.readFile(file)).toString().split("\n");
      assert.deepEqual(
        after.filter((line) => line !== "" && !line.startsWith("#")),
        ["primary_conninfo = ''", "primary_slot_name = ''", "synchronous_standby_names = ''"],
      );
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
      assert.match(settings, new RegExp(`^${name} = ''( #.*)?$`, "m"));
    }
  });
});

test("each kind of target is one setting, behind the others, which are empty", () => {
  const settingsOf = (target: ServerTarget): readonly string[] => {
    const text = recoveryFiles({ target, timeline: 1 as Timeline, ...rest }).find(
      ({ path: file }) => file === "postgresql.auto.conf",
    )?.text;
    const lines = (text ?? "").split("\n").filter((line) => /^recovery_target(_(name|time|xid|lsn))? /.test(line));
    assert.equal(lines.length, 5);
    return lines.map((line) => line.replace(/ # only while this cluster recovers$/, ""));
  };
  const name = "it's \\ a\ttab";
  for (const [target, last] of [
    [{ kind: "immediate" }, "recovery_target = 'immediate'"],
    [{ kind: "lsn", lsn: 0x3000060n as Lsn, inclusive: true }, "recovery_target_lsn = '0/3000060'"],
    [{ kind: "xid", xid: 4_294_967_301n, inclusive: false }, "recovery_target_xid = '5'"],
    [{ kind: "name", name }, "recovery_target_name = 'it''s \\\\ a\\ttab'"],
  ] satisfies [ServerTarget, string][]) {
    const lines = settingsOf(target);
    assert.equal(lines.at(-1), last);
    assert.ok(lines.slice(0, -1).every((line) => line.endsWith(" = ''")));
  }
  assert.ok(settingsOf({ kind: "latest" }).every((line) => line.endsWith(" = ''")));
});

test("a standby's settings have no target, quote what they name, and leave nothing that ends recovery", () => {
  const files = standbyFiles({ conninfo: "host='/tmp/it\\'s' port=5432", slot: "db_replica" });
  assert.deepEqual(
    files.map((file) => file.path),
    ["postgresql.auto.conf", "standby.signal"],
  );
  const text = files[0]?.text ?? "";
  assert.match(text, /^primary_conninfo = 'host=''\/tmp\/it\\\\''s'' port=5432'$/m);
  assert.match(text, /^primary_slot_name = 'db_replica'$/m);
  assert.match(text, /^synchronous_standby_names = ''$/m);
  const held = standbyFiles({ conninfo: "", slot: undefined, names: "ANY 1 (x)" })[0]?.text ?? "";
  assert.match(held, /^synchronous_standby_names = 'ANY 1 \(x\)'$/m);
  for (const name of ["recovery_target", "recovery_target_time", "recovery_target_lsn", "restore_command"]) {
    assert.match(text, new RegExp(`^${name} = ''$`, "m"));
  }
});

test("captured access rules that need other files are not used", () => {
  assert.equal(ownAccessRules("hba_file", "local shop all trust\n"), "local shop all trust\n");
  assert.equal(
    ownAccessRules("hba_file", '# @admins\nlocal all "@odd" trust # of @x\n'),
    '# @admins\nlocal all "@odd" trust # of @x\n',
  );
  for (const captured of [
    undefined,
    "local shop all trust\ninclude /etc/more.conf\n",
    "include_if_exists more.conf\n",
    "host all @admins 127.0.0.1/32 scram-sha-256\n",
    'host all postgres,@"the admins" 127.0.0.1/32 scram-sha-256\n',
  ]) {
    assert.match(ownAccessRules("hba_file", captured), /^local all all peer$/m, captured);
    assert.equal(ownAccessRules("ident_file", captured), "");
  }
});
