import assert from "node:assert/strict";
import { test } from "node:test";
import { GOLDEN_SERVER } from "../../test/golden/make-vault.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { hasRecovered } from "./reached.ts";

test("a control file of which a reader sees half says nothing yet", async () => {
  const { files } = memoryFiles();
  await files.makeFolder("/data");
  await files.makeFolder("/data/global");
  await files.makeFile("/data/global/pg_control", { sizeBytes: 8192, permissions: 0o600 });
  const found = GOLDEN_SERVER.files.find(({ path }) => path === "global/pg_control");
  assert.ok(found?.kind === "file");
  const handle = await files.open("/data/global/pg_control", "update");
  // All but the system identifier, which is not what it was.
  await handle.write(found.content.subarray(8), 8);
  await handle.close();
  assert.equal(await hasRecovered(files, "/data"), false);
});

test("a folder that no server was started in has not recovered, though its control file is of a server in production", async () => {
  const { files } = memoryFiles();
  for (const each of GOLDEN_SERVER.files) {
    if (each.kind !== "file" || (each.path !== "global/pg_control" && each.path !== "backup_label")) continue;
    const file = `/data/${each.path}`;
    await files.makeFolder(file.slice(0, file.lastIndexOf("/")));
    await files.makeFile(file, { sizeBytes: each.content.byteLength, permissions: 0o600 });
    const handle = await files.open(file, "update");
    await handle.write(each.content, 0);
    await handle.close();
  }
  assert.equal(await hasRecovered(files, "/data"), false);
  // As a server does when it begins; the control file then says that it recovers, and is left here as if it were done.
  await files.rename("/data/backup_label", "/data/backup_label.old");
  assert.equal(await hasRecovered(files, "/data"), true);
});
