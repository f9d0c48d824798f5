import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { type Files, fileError, systemFiles } from "../platform/files.ts";
import { type OwnConfiguration, ownConfiguration } from "./own-configuration.ts";

/** What is made of a folder of these files, which are named from it. */
async function own(
  texts: Readonly<Record<string, string>>,
  files: Files = systemFiles,
): Promise<{ readonly folder: string; readonly now: Readonly<Record<string, string>> } & OwnConfiguration> {
  return withFolder(async (parent) => {
    const folder = path.join(parent, "it's");
    for (const [name, text] of Object.entries(texts)) {
      const file = path.join(folder, name);
      await systemFiles.makeFolder(path.dirname(file));
      const handle = await systemFiles.open(file, "create");
      await handle.write(Buffer.from(text.replaceAll("HERE", folder.replaceAll("'", "''")), "latin1"), 0);
      await handle.close();
    }
    const found = await ownConfiguration(files, folder);
    const now = [...found.rewritten].map(([file, bytes]) => [path.relative(folder, file), bytes.toString("latin1")]);
    return { ...found, folder, now: Object.fromEntries(now) };
  });
}

test("a place elsewhere is taken out where the folder's own files say it, and no line holds the cluster to the folder", async () => {
  for (const line of [
    "data_directory='/old'",
    " DATA_DIRECTORY = '/old'",
    "data_directory '/o''ld'",
    "data_directory old",
  ]) {
    const { now, added } = await own({ "postgresql.conf": `# \xfc\nport = 1\n${line} # moved\nport = 2\n` });
    assert.equal(
      now["postgresql.conf"],
      `# \xfc\nport = 1\n# Taken out by lifeboat restore, since this cluster lies here: ${line.trim()} # moved\nport = 2\n`,
    );
    assert.deepEqual(added, []);
  }
  const deep = await own({
    "postgresql.conf": "include 'more'\ninclude_dir = 'conf.d'\ninclude_if_exists = 'tuning.conf'\n",
    more: "include more2",
    more2: "data_directory = '/old'",
    "conf.d/a.conf": "data_directory = '/old'",
    "conf.d/.b.conf": "data_directory = '/old'",
    "conf.d/c": "data_directory = '/old'",
  });
  assert.deepEqual([Object.keys(deep.now).sort(), deep.added], [["conf.d/a.conf", "more2"], []]);
});

test("a configuration that names no place, or this one, is left as it is", async () => {
  for (const line of [
    "#data_directory = '/old'",
    "# include 'x'",
    "include_if_exists = 'x'",
    "data_directory = 'HERE'",
  ]) {
    const { rewritten, added } = await own({ "postgresql.conf": `${line}\nport = 1\n` });
    assert.deepEqual([rewritten.size, added], [0, []], line);
  }
});

test("a file outside that says it, or cannot be read, is answered by a line", async () => {
  for (const [line, text, wanted] of [
    ["include '../common.conf'", "data_directory = '/old'", 1],
    ["include '../common.conf'", "port = 1", 0],
    ["include_if_exists '../other'", "", 1],
    ["include_dir '../other'", "", 1],
  ] as const) {
    const { added, folder, rewritten } = await own({ "postgresql.conf": `${line}\n`, "../common.conf": text });
    assert.deepEqual([added.length, rewritten.size], [wanted, 0], line);
    const told = `data_directory = '${folder.replaceAll("'", "''")}'`;
    if (wanted === 1) assert.equal(added[0]?.text.trimEnd().split("\n").at(-1), told);
  }
});

test("files of access rules that are not on this machine are named no more, however that is written", async () => {
  const { now, missing, added } = await own({
    "postgresql.conf": "hba_file = '/gone/a.conf'\n HBA_FILE '/gone/it''s.conf' # here\n#ident_file = '/gone/b'\n",
  });
  assert.deepEqual([...missing], [["hba_file", "/gone/it's.conf"]]);
  assert.match(
    now["postgresql.conf"] ?? "",
    /^# Taken .*\n# Taken out by .* HBA_FILE '\/gone\/it''s.conf' # here\n#ident/,
  );
  assert.deepEqual(added, []);
  const there = await own({ "postgresql.conf": "hba_file = '/gone/a.conf'\nhba_file = 'HERE/rules'\n", rules: "" });
  assert.deepEqual([there.rewritten.size, there.missing.size], [0, 0]);
  const outside = await own({
    "postgresql.conf": "include '../common.conf'\n",
    "../common.conf": "ident_file = '/gone/b'\n",
  });
  assert.match(outside.added[0]?.text ?? "", /^ident_file = '.*\/it''s\/pg_ident.conf'$/m);
});

test("a file of access rules that may not be looked at is named no more, and that it was not looked at is told", async () => {
  const closed: Files = {
    ...systemFiles,
    stat: async (file) => {
      if (file.startsWith("/closed/")) throw fileError("look at", file, Object.assign(new Error(), { code: "EACCES" }));
      return await systemFiles.stat(file);
    },
  };
  const { now, missing, unseen } = await own({ "postgresql.conf": "hba_file = '/closed/hba.conf'\n" }, closed);
  assert.deepEqual([...missing], [["hba_file", "/closed/hba.conf"]]);
  assert.deepEqual([...unseen], [["hba_file", "cannot look at /closed/hba.conf: EACCES"]]);
  assert.match(now["postgresql.conf"] ?? "", /^# Taken out by lifeboat restore, that file could not be looked at: hba/);
});
