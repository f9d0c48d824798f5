import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import {
  GOLDEN_COMMITS,
  GOLDEN_DELTA_SEGMENTS,
  GOLDEN_EARLIER,
  GOLDEN_FIRST_PASSPHRASE,
  GOLDEN_IDENTITY,
  GOLDEN_LATER,
} from "../../test/golden/make-delta-vault.ts";
import { GOLDEN_PASSPHRASE } from "../../test/golden/make-vault.ts";
import { syntheticProof } from "../../test/support/proofs.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { formatLsn, type Lsn, type Timeline } from "../postgres/lsn.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { listBackups } from "../vault/backups.ts";
import { type BackupId, type ProofId, proofName } from "../vault/names.ts";
import { putProof } from "../vault/proofs.ts";
import { isRestoreProgram } from "../vault/restore-program.ts";
import { openVault } from "../vault/vault.ts";
import { putHistory } from "../vault/wal-store.ts";

const FULL = "20261123t080002z-1208ed02";
const DELTA = "20261123t080010z-ee5d7357";
const RECOVERY_KEY = "XG6H-MBXT-EM85-DF1Q-7XNH-4PCQ-H2BW-VBSD-FB";
const PIN = "# lifeboat-vault 8955fa5a6bbd9696932ceb03fbb52bde b45e3eddad78df3cdf1e99959ff29dce";

const root = path.resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(path.join(tmpdir(), "lifeboat-stored-"));
after(() => rmSync(folder, { recursive: true }));
const vault = path.join(folder, "vault");
cpSync(path.join(root, "test/golden/vault-1-delta"), vault, { recursive: true });

/** A secret in a file, as an option. */
function secretIn(option: string, text: string): readonly string[] {
  const file = path.join(folder, `secret-${text.length}`);
  writeFileSync(file, `${text}\n`);
  return [option, file];
}
const passphrase = secretIn("--passphrase-file", GOLDEN_PASSPHRASE);
const firstPassphrase = secretIn("--passphrase-file", GOLDEN_FIRST_PASSPHRASE);
const recoveryKey = secretIn("--recovery-key-file", RECOVERY_KEY);
const identity = secretIn("--identity-file", `${GOLDEN_IDENTITY}\n${PIN}`);

let count = 0;

/** Runs a restore program on the vault; what it wrote is in `target`. */
function restore(program: string, ...args: readonly string[]) {
  count += 1;
  const target = path.join(folder, `target-${count}`);
  const given = [program, "--vault", vault, "--target", target, ...args];
  return { ...spawnSync(process.execPath, given, { encoding: "utf8" }), target };
}

function assertRestored(
  { target, status, stderr }: ReturnType<typeof restore>,
  server: typeof GOLDEN_LATER,
  setting: RegExp,
): void {
  assert.equal(status, 0, stderr);
  for (const file of server.files) {
    if (file.kind !== "file") continue;
    assert.ok(readFileSync(path.join(target, file.path)).equals(file.content), `${file.path} differs`);
  }
  assert.equal(existsSync(path.join(target, "base/5/16385")), server === GOLDEN_EARLIER);
  const settings = readFileSync(path.join(target, "postgresql.auto.conf"), "utf8");
  assert.match(settings, /^recovery_target_timeline = '2'$/m);
  assert.match(settings, setting);
  const needed = [...GOLDEN_DELTA_SEGMENTS].filter(([name]) => server === GOLDEN_EARLIER || !name.endsWith("3"));
  for (const [name, bytes] of needed) {
    const laid = path.join(target, "pg_wal", name);
    // Up to a position there need be nothing behind it.
    if (existsSync(laid)) assert.ok(readFileSync(laid).equals(bytes), name);
    else assert.match(settings, /^recovery_target_lsn = '\d/m, name);
  }
}

for (const [which, program] of [
  ["that lies in a golden vault", path.join(vault, "programs/restore-3.ts")],
  ["of the day", path.join(root, "src/standalone/main.ts")],
] as const) {
  describe(`the restore program ${which}`, () => {
    test("restores its delta and its full backup, with a passphrase, a recovery key and an age identity, and to targets", () => {
      const lsn = formatLsn(GOLDEN_COMMITS.get(106)?.end ?? (0n as never));
      const untilLsn = restore(program, ...recoveryKey, "--until-lsn", lsn);
      assertRestored(untilLsn, GOLDEN_LATER, new RegExp(`^recovery_target_lsn = '${lsn}'$`, "m"));
      const time = "2026-11-23 08:05:00.5+00";
      const untilTime = restore(program, ...passphrase, "--backup", FULL, "--until-time", time);
      assertRestored(untilTime, GOLDEN_EARLIER, /^recovery_target_time = '2026-11-23 08:05:00\.5\+00'$/m);
      assertRestored(restore(program, ...identity), GOLDEN_LATER, /^recovery_target_lsn = ''$/m);
    });

    test("with what opens the first data key alone: takes nothing that the second one seals for absent, and names that key", () => {
      // Of the full backup only the last segment of WAL behind it is sealed with the second one.
      for (const backup of [FULL, DELTA]) {
        const { status, stderr, target } = restore(program, ...firstPassphrase, "--backup", backup);
        assert.deepEqual([status, /e7d0734e0f240558fa3793d6b5f46ca1/.test(stderr)], [1, true], stderr);
        assert.equal(existsSync(path.join(target, "global/pg_control")), false);
      }
    });
  });
}

describe("without a backup's name, the restore program of the day", () => {
  const program = path.join(root, "src/standalone/main.ts");
  const refused = (...args: readonly string[]): string => {
    const { status, stderr, target } = restore(program, ...recoveryKey, ...args);
    assert.deepEqual([status, existsSync(target)], [1, false], stderr);
    return stderr;
  };

  test("takes the newest that had ended by the time or the position", () => {
    // The full backup ended at 08:00:04, the delta at 08:00:12.
    for (const time of ["2026-11-23 08:00:05+00", "2026-11-23T09:00:05.25+01:00", "2026-11-23 08:00:05 UTC"]) {
      const restored = restore(program, ...passphrase, "--until-time", time);
      assertRestored(
        restored,
        GOLDEN_EARLIER,
        new RegExp(`^recovery_target_time = '${time.replaceAll(/[.+]/g, "\\$&")}'$`, "m"),
      );
    }
    const later = restore(program, ...passphrase, "--until-time", "2026-11-23 13:30:12+0530");
    assertRestored(later, GOLDEN_LATER, /^max_logical_replication_workers = 0$/m);
    const between = formatLsn(GOLDEN_COMMITS.get(103)?.end ?? (0n as never));
    assertRestored(
      restore(program, ...passphrase, "--until-lsn", between),
      GOLDEN_EARLIER,
      /^recovery_target_lsn = '.+'$/m,
    );
  });

  test("refuses what it could only miss: a moment before every backup, or before the one that is named, or of no zone", () => {
    assert.match(
      refused("--until-time", "2026-11-23 08:00:01Z"),
      /^no backup had ended by .*; the oldest one ended at 2026/m,
    );
    assert.match(refused("--until-lsn", "0/28"), /^no backup had ended by 0\/28/m);
    assert.match(refused("--backup", DELTA, "--until-time", "2026-11-23 08:00:05+00"), /^backup \S+ had not ended by/m);
    assert.match(refused("--until-time", "2026-11-23 08:00:05"), /^"2026-11-23 08:00:05" may mean several moments/m);
    assert.match(refused("--until-lsn", "12345"), /^"12345" is no position/m);
    const named = restore(program, ...passphrase, "--backup", DELTA, "--until-time", "2026-11-23 09:00:05");
    assertRestored(named, GOLDEN_LATER, /^recovery_target_time = '2026-11-23 09:00:05'$/m);
    assert.match(named.stderr, /up to 0\/600000\.$/m);
    assert.match(named.stderr, /nothing in this WAL is later than 2026-11-23 09:00:05: take recovery_target_time out/);
  });

  test("refuses a position that the WAL of the vault does not reach, before it writes, and takes the last one that it does", () => {
    const last = GOLDEN_COMMITS.get(107)?.lsn ?? assert.fail();
    const beyond = refused("--until-lsn", formatLsn((last + 1n) as Lsn));
    assert.match(beyond, new RegExp(`ends before .*: the last position it reaches is ${formatLsn(last)}\\. `));
    assertRestored(
      restore(program, ...recoveryKey, "--until-lsn", formatLsn(last)),
      GOLDEN_LATER,
      /^hot_standby = off$/m,
    );
  });
});

test("the restore program of the day passes over a backup that failed its proof, unless it is named or none else serves, and says so", async () => {
  const program = path.join(root, "src/standalone/main.ts");
  const proven = path.join(folder, "proven");
  cpSync(vault, proven, { recursive: true });
  const store = await openDiskStore({ folder: proven, files: systemFiles, random: systemRandom });
  const secret = { kind: "passphrase", passphrase: GOLDEN_PASSPHRASE } as const;
  const opened = await openVault({ store, clock: systemClock, random: systemRandom }, secret, {});
  const { backups } = await listBackups(opened, {}, {});
  const prove = async (id: string, how: Parameters<typeof syntheticProof>[1]) => {
    const backup = backups.find(({ backupId }) => backupId === id);
    assert.ok(backup !== undefined);
    await putProof(opened, syntheticProof(backup, how), {});
  };
  const restored = (...args: readonly string[]) => restore(program, ...passphrase, "--vault", proven, ...args);
  const listed = (): readonly string[] => {
    const args = [program, "--vault", proven, "--list", ...passphrase];
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
    return [FULL, DELTA].map(
      (id) => / {2}proof: (\w+)/.exec(stdout.split("\n").find((line) => line.startsWith(id)) ?? "")?.[1] ?? "",
    );
  };
  assert.deepEqual(listed(), ["none", "none"]);
  await prove(DELTA, { minute: 1, asked: "booted" });
  await prove(FULL, { minute: 2, asked: "present" });
  assert.deepEqual(listed(), ["present", "booted"]);
  await prove(DELTA, { minute: 3, asked: "booted", failedAt: "intact" });
  assert.deepEqual(listed(), ["present", "failed"]);
  const sound = restored();
  assertRestored(sound, GOLDEN_EARLIER, /^recovery_target_lsn = ''$/m);
  assert.match(sound.stderr, new RegExp(`^Passed over: backup ${DELTA}, whose newest proof failed$`, "m"));
  const named = restored("--backup", DELTA);
  assertRestored(named, GOLDEN_LATER, /^recovery_target_lsn = ''$/m);
  assert.match(named.stderr, new RegExp(`^Restoring all the same: backup ${DELTA}, `, "m"));
  await prove(FULL, { minute: 4, asked: "present", failedAt: "present" });
  assertRestored(restored(), GOLDEN_LATER, /^recovery_target_lsn = ''$/m);
  // Less than what failed takes nothing back.
  await prove(DELTA, { minute: 5, asked: "present" });
  await prove(FULL, { minute: 5, asked: "intact" });
  assert.deepEqual(listed(), ["intact", "failed"]);
  await prove(DELTA, { minute: 6, asked: "checked" });
  const [{ systemId } = assert.fail()] = backups;
  const torn = { systemId, backupId: FULL as BackupId, proofId: "20270101t000000z-00000000" as ProofId };
  await store.put(proofName(torn), [Buffer.from("torn")]);
  assert.deepEqual(listed(), ["unreadable", "checked"]);
});

test("the restore program of the day follows no timeline that began before the one it was to follow, and before the backup ended", async () => {
  const program = path.join(root, "src/standalone/main.ts");
  const branched = path.join(folder, "branched");
  cpSync(vault, branched, { recursive: true });
  const store = await openDiskStore({ folder: branched, files: systemFiles, random: systemRandom });
  const secret = { kind: "passphrase", passphrase: GOLDEN_PASSPHRASE } as const;
  const opened = await openVault({ store, clock: systemClock, random: systemRandom }, secret, {});
  const [{ systemId } = assert.fail()] = (await listBackups(opened, {}, {})).backups;
  const three = "1\t0/200000\tx\n2\t0/F000000\tx\n";
  const four = `${three}3\t0/280000\tx\n`;
  for (const [timeline, text] of [
    [3, three],
    [4, four],
  ] as const) {
    await putHistory(opened, { systemId, timeline: timeline as Timeline, content: Buffer.from(text) }, {});
  }
  const { status, stderr, target } = restore(program, ...passphrase, "--vault", branched);
  assert.equal(status, 0, stderr);
  const settings = readFileSync(path.join(target, "postgresql.auto.conf"), "utf8");
  assert.match(settings, /^recovery_target_timeline = '3'$/m);
});

test("the program in the golden vault is the one whose digest is known", () => {
  const name = "programs/restore-3.ts";
  assert.equal(isRestoreProgram(name, readFileSync(path.join(vault, name))), true);
});
