import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { GOLDEN_OUTSIDE, GOLDEN_PASSPHRASE, GOLDEN_SEGMENT, GOLDEN_SERVER } from "../../test/golden/make-vault.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { pinLine, wrapForRecipient } from "../vault/key-age.ts";
import { addHolder } from "../vault/key-ring.ts";
import { keyWrapName } from "../vault/names.ts";
import { isRestoreProgram, keepRestoreProgram, RESTORE_PROGRAMS } from "../vault/restore-program.ts";
import { initVault, openVault } from "../vault/vault.ts";

const root = path.resolve(import.meta.dirname, "../..");
const goldens = path.join(root, "test/golden");
const folder = mkdtempSync(path.join(tmpdir(), "lifeboat-standalone-"));
after(() => rmSync(folder, { recursive: true }));

const RECOVERY_KEY = "H7G4-WV83-5114-XVQZ-WS3J-HFAE-DX93-KENA-ZA";
writeFileSync(path.join(folder, "passphrase"), `${GOLDEN_PASSPHRASE}\n`);
writeFileSync(path.join(folder, "wrong"), "wrong\n");
writeFileSync(path.join(folder, "recovery-key"), `${RECOVERY_KEY.toLowerCase()}\n`);

/** The present version. */
const PROGRAM_NAME = [...RESTORE_PROGRAMS.keys()].at(-1) ?? "";

/** Runs the program as it lies in a copy of a vault. */
function run(vault: string, ...args: readonly string[]) {
  const program = path.join(vault, PROGRAM_NAME);
  return spawnSync(process.execPath, [program, ...args], { encoding: "utf8", input: `${GOLDEN_PASSPHRASE}\n` });
}

/** A copy of a golden vault with the program in it, as a backup of today would leave it. */
function copyOf(golden: string, name: string): string {
  const vault = path.join(folder, name);
  cpSync(path.join(goldens, golden), vault, { recursive: true });
  cpSync(path.join(root, "src/standalone/main.ts"), path.join(vault, PROGRAM_NAME));
  return vault;
}

function assertRestored(target: string): void {
  for (const file of GOLDEN_SERVER.files) {
    if (file.kind !== "file") continue;
    assert.ok(readFileSync(path.join(target, file.path)).equals(file.content), `${file.path} differs`);
  }
  for (const { name, content } of GOLDEN_OUTSIDE) {
    assert.ok(readFileSync(path.join(target, "lifeboat-outside", name)).equals(content));
  }
  const segment = readFileSync(path.join(target, "pg_wal", GOLDEN_SEGMENT.segment));
  assert.ok(segment.equals(GOLDEN_SEGMENT.bytes));
  assert.equal(readFileSync(path.join(target, "pg_wal/00000002.history"), "utf8"), GOLDEN_SERVER.history);
  const settings = readFileSync(path.join(target, "postgresql.auto.conf"), "utf8");
  assert.match(settings, /^restore_command = 'false'$/m);
  // Each start with an empty one writes a line that looks like a fault.
  assert.match(settings, /^external_pid_file = '[\w.-]+'$/m);
  assert.match(settings, /^recovery_target_timeline = '2'$/m);
  assert.ok(existsSync(path.join(target, "recovery.signal")));
}

describe("the restore program, from a copy of a golden vault and its key alone,", () => {
  for (const golden of readdirSync(goldens).filter((name) => /^vault-\d+$/.test(name))) {
    test(`restores ${golden} with the passphrase, from a file or typed`, () => {
      const vault = copyOf(golden, `${golden}-passphrase`);
      const [first, second] = [path.join(folder, `${golden}-1`), path.join(folder, `${golden}-2`)];
      const filed = run(vault, "--target", first, "--passphrase-file", path.join(folder, "passphrase"));
      assert.equal(filed.status, 0, filed.stderr);
      assertRestored(first);
      const typed = run(vault, "--target", second, "--until-lsn", "0/300100");
      assert.equal(typed.status, 0, typed.stderr);
      assertRestored(second);
      const settings = readFileSync(path.join(second, "postgresql.auto.conf"), "utf8");
      assert.match(settings, /^recovery_target_lsn = '0\/300100'$/m);
    });

    test(`restores ${golden} with the recovery key, and lists its backups`, () => {
      const vault = copyOf(golden, `${golden}-recovery`);
      const key = ["--recovery-key-file", path.join(folder, "recovery-key")];
      const listed = run(vault, "--list", ...key);
      const [backup = ""] = listed.stdout.split(" ");
      assert.match(backup, /^\d{8}t\d{6}z-[0-9a-f]{8}$/);
      const target = path.join(folder, `${golden}-3`);
      const restored = run(vault, "--target", target, "--backup", backup, ...key);
      assert.equal(restored.status, 0, restored.stderr);
      assertRestored(target);
    });
  }

  test("restores with an age identity and the pin of a data key, and with no data key that a stranger wrapped", async () => {
    const vault = copyOf("vault-1", "age");
    const store = await openDiskStore({ folder: vault, files: systemFiles, random: systemRandom });
    const tools = { store, clock: systemClock, random: systemRandom };
    const secret = { kind: "passphrase", passphrase: GOLDEN_PASSPHRASE } as const;
    const identity = await generateX25519Identity();
    const holder = { kind: "age", recipient: await identityToRecipient(identity) } as const;
    const { pin } = await addHolder(tools, secret, { holder, label: "restoring" }, {});
    const file = path.join(folder, "identity");
    const restore = (target: string, lines: readonly string[]) => {
      writeFileSync(file, `# created: today\n${lines.join("\n")}\n`);
      return run(vault, "--target", target, "--identity-file", file);
    };
    const target = path.join(folder, "by-identity");
    const restored = restore(target, [identity, pin ?? ""]);
    assert.equal(restored.status, 0, restored.stderr);
    assertRestored(target);
    const other = path.join(folder, "refused-identity");
    const unpinned = restore(other, [identity]);
    assert.deepEqual([unpinned.status, unpinned.stderr.includes(pin ?? "no pin")], [1, true], unpinned.stderr);
    const strangers = restore(other, [await generateX25519Identity(), pin ?? ""]);
    assert.deepEqual([strangers.status, /opens no key/.test(strangers.stderr)], [1, true], strangers.stderr);
    const typed = restore(other, [identity.slice(0, -1), pin ?? ""]);
    assert.deepEqual([typed.status, /no age identity/.test(typed.stderr)], [1, true], typed.stderr);
    assert.equal(existsSync(other), false);
    // A wrap that a stranger made of his own data key is passed over: nothing that is trusted vouches for it.
    const stranger = await initVault({ ...tools, store: openMemoryStore({ clock: systemClock }) }, secret, {});
    const wrap = await wrapForRecipient({
      vaultId: (await openVault(tools, secret, {})).id,
      dataKey: stranger.vault.dataKey,
      recipient: holder.recipient,
      label: "restoring",
      now: systemClock.now(),
      known: [stranger.vault.dataKey],
    });
    const name = keyWrapName({ keyId: stranger.vault.dataKey.id, wrapId: "0".repeat(16) });
    await store.put(name, [wrap]);
    const again = path.join(folder, "by-identity-again");
    const passedOver = restore(again, [identity, pin ?? ""]);
    assert.equal(passedOver.status, 0, passedOver.stderr);
    const onlyStrangers = restore(other, [identity, pinLine(stranger.vault.dataKey, "0".repeat(32))]);
    assert.equal(onlyStrangers.status, 1);
  });

  test("refuses a wrong secret, an unknown backup and a target that is not empty, and touches nothing", () => {
    const vault = copyOf("vault-1", "refusing");
    const target = path.join(folder, "refused");
    const passphrase = ["--passphrase-file", path.join(folder, "passphrase")];
    const wrong = run(vault, "--target", target, "--passphrase-file", path.join(folder, "wrong"));
    assert.deepEqual([wrong.status, /opens no key/.test(wrong.stderr)], [1, true], wrong.stderr);
    const unknown = run(vault, "--target", target, "--backup", "20260101t000000z-00000000", ...passphrase);
    assert.deepEqual([unknown.status, /there is no backup 2026/.test(unknown.stderr)], [1, true]);
    assert.equal(existsSync(target), false);
    const taken = run(vault, "--target", folder, ...passphrase);
    assert.deepEqual([taken.status, /is not empty: restore into/.test(taken.stderr)], [1, true], taken.stderr);
    const key = ["--recovery-key-file", path.join(folder, "recovery-key")];
    symlinkSync(vault, path.join(folder, "way"));
    const inside = run(vault, "--target", path.join(folder, "way", "restored"), ...key);
    assert.deepEqual([inside.status, /lies in the vault/.test(inside.stderr)], [1, true], inside.stderr);
    assert.equal(existsSync(path.join(vault, "restored")), false);
    for (const args of [[], ["--list", "--bogus"], ["--target"]]) {
      const { status, stdout, stderr } = run(vault, ...args);
      assert.deepEqual([status, stdout.startsWith("Usage: "), /^ +at /m.test(stderr)], [1, true, false], stderr);
    }
  });

  test("names a damaged object, and what it leaves cannot start", () => {
    const vault = copyOf("vault-1", "damaged");
    const packs = path.join(vault, "packs");
    const names = readdirSync(packs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const [pack] = names.map((entry) => path.join(entry.parentPath, entry.name));
    assert.ok(pack !== undefined);
    const bytes = readFileSync(pack);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(pack, bytes);
    const target = path.join(folder, "half");
    const { status, stderr } = run(vault, "--target", target, "--passphrase-file", path.join(folder, "passphrase"));
    assert.deepEqual([status, stderr.includes(path.basename(pack))], [1, true], stderr);
    assert.match(stderr, /another backup may do without: name it with --backup/);
    assert.equal(existsSync(path.join(target, "global/pg_control")), false);
    const again = run(vault, "--target", target, "--recovery-key-file", path.join(folder, "recovery-key"));
    assert.deepEqual([again.status, /cut short, remove it/.test(again.stderr)], [1, true], again.stderr);
  });
});

test("WAL that cannot be looked at is not taken for the end of what there is", () => {
  const vault = copyOf("vault-1", "unreadable");
  const { systemId } = GOLDEN_SERVER;
  const next = GOLDEN_SEGMENT.segment.replace(/3$/, "4").toLowerCase();
  const object = path.join(vault, "wal", systemId, next.slice(0, 8), next);
  symlinkSync(object, object);
  const target = path.join(folder, "unreadable-target");
  const { status, stderr } = run(vault, "--target", target, "--passphrase-file", path.join(folder, "passphrase"));
  assert.deepEqual([status, stderr.includes(next)], [1, true], stderr);
  assert.equal(existsSync(path.join(target, "global/pg_control")), false);
});

describe("the restore program in vaults", () => {
  test("is the one whose digest its page tells, and a changed one needs a new version", () => {
    const [name = "", digest = ""] = [...RESTORE_PROGRAMS].at(-1) ?? [];
    const bytes = readFileSync(path.join(root, "src/standalone/main.ts"));
    assert.equal(createHash("sha256").update(bytes).digest("hex"), digest);
    assert.match(`${bytes}`, new RegExp(`^const PROGRAM_VERSION = ${/(\d+)\.ts$/.exec(name)?.[1]};$`, "m"));
    assert.ok(readFileSync(path.join(root, "docs/formats/vault.md"), "utf8").includes(digest));
    assert.equal(isRestoreProgram(name, bytes), true);
    assert.equal(isRestoreProgram(name, bytes.subarray(1)), false);
    assert.equal(isRestoreProgram("programs/restore-99.ts", bytes), undefined);
  });

  test("imports nothing but what Node.js has", () => {
    const text = readFileSync(path.join(root, "src/standalone/main.ts"), "utf8");
    const imported = [...text.matchAll(/\bfrom "([^"]+)"|\bimport\("([^"]+)"\)/g)].map((match) => match[1] ?? match[2]);
    assert.ok(imported.length > 0);
    for (const each of imported) assert.match(each ?? "", /^node:/);
  });

  test("is stored once, and left as it is by the next to see to it", async () => {
    const store = openMemoryStore({ clock: systemClock });
    for (let time = 0; time < 2; time += 1) {
      await keepRestoreProgram({ store, files: systemFiles }, {});
      const name = PROGRAM_NAME;
      assert.equal(isRestoreProgram(name, await store.get(name)), true);
    }
  });
});
