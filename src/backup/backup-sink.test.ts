import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GOLDEN_SERVER, goldenCoverage } from "../../test/golden/make-vault.ts";
import { connectSynthetic } from "../../test/golden/synthetic-server.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { checkVault } from "../vault/check.ts";
import { takeBackup } from "./backup.ts";

describe("a backup", () => {
  test("with two names that are no UTF-8 and read alike is refused: no restore could make both", async () => {
    const vault = await createTestVault();
    const stray = GOLDEN_SERVER.files.find(({ path }) => path === "PG_VERSION");
    assert.ok(stray !== undefined);
    // The synthetic server writes the path as it reads.
    const alike = [stray, stray].map((file) => ({ ...file, path: "r\uFFFD.conf" }));
    const backup = takeBackup(
      {
        vault,
        clock: systemClock,
        connection: connectSynthetic({ ...GOLDEN_SERVER, files: [...GOLDEN_SERVER.files, ...alike] }),
        wal: goldenCoverage(vault),
        outsideFiles: [],
        onProgress: () => undefined,
      },
      { label: "", checkpoint: "fast", compression: { level: 1 }, adoptSystem: false },
      {},
    );
    await assert.rejects(backup, (error) => {
      assert.ok(isLifeboatError(error, "backup.file-skipped"), String(error));
      assert.match(error.message, /read alike/);
      return true;
    });
  });

  test("whose only pages are zeros is whole, though its pages come to no chunk", async () => {
    const paths = ["base/5/16387", "backup_label", "global/pg_control"];
    const server = { ...GOLDEN_SERVER, files: GOLDEN_SERVER.files.filter(({ path }) => paths.includes(path)) };
    const vault = await createTestVault();
    await takeBackup(
      {
        vault,
        clock: systemClock,
        connection: connectSynthetic({ ...server, tablespaces: [] }),
        wal: goldenCoverage(vault),
        outsideFiles: [],
        onProgress: () => undefined,
      },
      { label: "", checkpoint: "fast", compression: { level: 1 }, adoptSystem: false },
      {},
    );
    const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
    assert.deepEqual(
      report.backups.map(({ whole }) => whole),
      [true],
    );
  });
});
