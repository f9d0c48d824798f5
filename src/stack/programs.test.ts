import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemProcesses } from "../platform/processes.ts";
import { installPrograms } from "./programs.ts";

test("the installer is given each package, and when it fails its last words are told", async () => {
  await withFolder(async (folder) => {
    const installer = path.join(folder, "installer");
    const request = { installer, packages: ["redis-server", "haproxy"] };
    await writeFile(installer, 'printf "%s\\n" "$@" >"$0.packages"');
    await installPrograms({ processes: systemProcesses }, request, {});
    assert.equal(await readFile(`${installer}.packages`, "utf8"), "redis-server\nhaproxy\n");
    await writeFile(installer, 'echo "E: no network" >&2; exit 100');
    await assert.rejects(installPrograms({ processes: systemProcesses }, request, {}), (error) => {
      assert(isLifeboatError(error, "stack.install-failed"));
      assert.match(error.message, /redis-server, haproxy failed: E: no network/);
      assert.match(error.remedy, /apt-get install .* redis-server haproxy\./);
      return true;
    });
  });
});
