import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { LifeboatError } from "../errors/error.ts";
import { explainNoVault, refuseOtherFiles } from "./engine-vault.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-engine-vault-"));
});
after(() => rm(folder, { recursive: true }));

test("a vault is not made among other files, and is where a vault's own or a new file system's files are", async () => {
  await refuseOtherFiles(path.join(folder, "absent"));
  await refuseOtherFiles(folder);
  await mkdir(path.join(folder, "lost+found"));
  await mkdir(path.join(folder, "keys"));
  await mkdir(path.join(folder, "tmp"));
  await refuseOtherFiles(folder);
  await writeFile(path.join(folder, "PG_VERSION"), "16\n");
  await assert.rejects(refuseOtherFiles(folder), {
    code: "vault.folder-not-empty",
    message: `${folder} is not empty: it holds PG_VERSION`,
  });
});

test("a folder without a store is told as one without a vault, a missing one as missing; other errors pass", async () => {
  const noStore = new LifeboatError("store.not-a-store", { message: "no folder tmp", remedy: "Check the path." });
  const absent = path.join(folder, "absent");
  await assert.rejects(explainNoVault(absent)(noStore), {
    code: "vault.not-a-vault",
    message: `there is no folder ${absent}`,
  });
  await assert.rejects(explainNoVault(folder)(noStore), { message: `${folder} holds no vault` });
  const other = new Error("other");
  await assert.rejects(explainNoVault(folder)(other), other);
});
