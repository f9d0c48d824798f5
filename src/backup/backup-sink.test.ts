import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GOLDEN_SERVER, goldenCoverage } from "../../test/golden/make-vault.ts";
import { connectSynthetic } from "../../test/golden/synthetic-server.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemClock } from "../platform/clock.ts";
import { checkVault } from "../vault/check.ts";
import { takeBackup } from "./backup.ts";

describe("a backup", () => {
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
