import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { storeSegment, storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { EXIT } from "../errors/entry.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { historyKey, segmentKey } from "../vault/names.ts";
import { initVault } from "../vault/vault.ts";
import { getHistory, putHistory } from "../vault/wal-store.ts";
import { checkConfiguredVault, repairConfiguredVault } from "./compose.ts";
import { runCli } from "./run.ts";
import { vaultCheckVerb } from "./vault.ts";
import { vaultRepairVerb } from "./vault-repair.ts";

const systemId = "7" as SystemId;
const verbs = [vaultCheckVerb(checkConfiguredVault), vaultRepairVerb(repairConfiguredVault)];

const leavingIt = (at: string): Buffer => Buffer.from(`1\t0/300000\tno reason\n\n2\t${at}\tx\n`);

test("a check names lost WAL and a lost history, and a repair stores the history that a server has", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-repair-"));
  try {
    const vaultFolder = path.join(folder, "vault");
    const store = await openDiskStore({ folder: vaultFolder, files: systemFiles, random: systemRandom });
    const { vault } = await initVault({ store, clock: systemClock, random: systemRandom }, { kind: "open" }, {});
    await storeSyntheticBackup(vault, { systemId, segment: 2 });
    // As after pg_upgrade: a vault keeps the old system.
    await storeSyntheticBackup(vault, { systemId: "8" as SystemId, segment: 2 });
    const forked = { systemId, timeline: 2 as Timeline };
    await storeSegment(vault, { ...forked, number: 3 });
    const config = path.join(folder, "lifeboat.yaml");
    const text = `vault:\n  path: ${vaultFolder}\n  encryption: off\nfolders:\n  spool: ${folder}/spool\n`;
    await writeFile(config, text, { mode: 0o600 });
    const run = async (line: string) => {
      const frame = recordedFrame({});
      const status = await runCli([...line.split(" "), "--config", config], verbs, frame);
      return { status, said: `${frame.stdout.written()}${frame.stderr.written()}` };
    };

    const lost = await run("vault check");
    assert.deepEqual([lost.status, lost.said.includes(historyKey(forked))], [EXIT.damaged, true], lost.said);
    assert.match((await run("vault repair --dry-run")).said, /taken from there: --history/);
    const history = path.join(folder, "00000002.history");
    await writeFile(history, "no history\n");
    assert.match((await run(`vault repair --history ${history}`)).said, /history of timeline 2 is damaged/);
    // That of a restored copy, which was promoted later.
    await writeFile(history, "1\t0/900000\tno reason\n");
    const another = await run(`vault repair --history ${history}`);
    assert.deepEqual([another.status, await getHistory(vault, forked, {})], [EXIT.refused, undefined], another.said);
    assert.ok(another.said.includes("vault.history-contradicted"), another.said);
    await writeFile(history, "1\t0/300000\tno reason\n");
    assert.equal((await run(`vault repair --history ${config}`)).status, EXIT.usage);
    assert.match((await run(`vault repair --history ${history} --system 8`)).said, /not used: the vault has no WAL of/);
    await run(`vault repair --history ${history}`);
    assert.equal(String(await getHistory(vault, forked, {})), "1\t0/300000\tno reason\n");
    assert.match(
      (await run(`vault repair --history ${history} --system 7`)).said,
      /not used: the vault has the history/,
    );
    assert.doesNotMatch((await run("vault check")).said, /history/);

    // Lost again, and a copy was promoted once: its history has a copy of this one.
    const later = { systemId, timeline: 3 as Timeline };
    await store.delete(historyKey(forked));
    await putHistory(vault, { ...later, content: leavingIt("0/400000") }, {});
    assert.match((await run(`vault repair --history ${history}`)).said, /not used: a check does not miss it/);
    await store.delete(historyKey(later));
    await putHistory(vault, { ...later, content: leavingIt("0/380000") }, {});
    const behind = await run("vault check");
    assert.deepEqual([behind.status, behind.said.includes("WAL behind 0/380000")], [EXIT.damaged, true], behind.said);
    await run("vault repair");
    assert.equal(String(await getHistory(vault, forked, {})), "1\t0/300000\tno reason\n");
    await store.delete(historyKey(later));

    // Behind it nothing can be restored any more.
    await storeSegment(vault, { ...forked, number: 5 });
    const gone = segmentKey({ systemId, segment: "000000020000000000000004" });
    for (const line of ["vault check", "vault repair --dry-run"]) {
      const { status, said } = await run(line);
      assert.deepEqual([status, said.includes(gone)], [EXIT.damaged, true], said);
    }
    // A backup begins behind it.
    await storeSyntheticBackup(vault, { ...forked, segment: 6 });
    assert.match((await run("vault check")).said, /WAL between the backups is missing/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
