import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import {
  GOLDEN_DELTA_SEGMENTS,
  GOLDEN_EARLIER,
  GOLDEN_IDENTITY,
  GOLDEN_LATER,
} from "../../test/golden/make-delta-vault.ts";
import type { SyntheticServer } from "../../test/golden/synthetic-server.ts";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import { mutated } from "../../test/support/mutations.ts";
import { Prng } from "../platform/prng.ts";

const PIN = "# lifeboat-vault 8955fa5a6bbd9696932ceb03fbb52bde b45e3eddad78df3cdf1e99959ff29dce";
const root = path.resolve(import.meta.dirname, "../..");
const golden = path.join(root, "test/golden/vault-1-delta");
const folder = mkdtempSync(path.join(tmpdir(), "lifeboat-standalone-fuzz-"));
after(() => rmSync(folder, { recursive: true }));
const vault = path.join(folder, "vault");
const target = path.join(folder, "target");
cpSync(golden, vault, { recursive: true });

const secrets = path.join(folder, "secrets");
mkdirSync(secrets);
const recoveryKey = path.join(secrets, "recovery-key");
const identity = path.join(secrets, "identity");
writeFileSync(recoveryKey, "XG6H-MBXT-EM85-DF1Q-7XNH-4PCQ-H2BW-VBSD-FB\n");
writeFileSync(identity, `# created: today\n${GOLDEN_IDENTITY}\n${PIN}\n`);

/** The program does one thing after the other: more than this is a loop. */
const DURATION_MAX_MS = 60_000;
const ROUNDS = repetitions(16, 600);

async function restore(args: readonly string[]): Promise<{ readonly status: number; readonly said: string }> {
  rmSync(target, { recursive: true, force: true });
  const worker = new Worker(path.join(root, "src/standalone/main.ts"), {
    argv: ["--vault", vault, "--target", target, ...args],
    stderr: true,
  });
  let said = "";
  worker.stderr.on("data", (text: Buffer) => {
    said += text;
  });
  const tooLong = AbortSignal.timeout(DURATION_MAX_MS);
  tooLong.addEventListener("abort", () => void worker.terminate());
  const [status] = await once(worker, "exit");
  assert.equal(tooLong.aborted, false, "it does not end");
  return { status, said };
}

function isWhole(server: SyntheticServer): boolean {
  const files = server.files.flatMap((file) => (file.kind === "file" ? [file] : []));
  return files.every(({ path: name, content }) => {
    const file = path.join(target, name);
    return existsSync(file) && readFileSync(file).equals(content);
  });
}

/** What changes, and how it is opened: objects of the vault with the recovery key or the identity, and both of these secrets. */
const places = [
  ...readdirSync(vault, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("programs"))
    .map((entry) => path.join(entry.parentPath, entry.name)),
  recoveryKey,
  identity,
].sort();

test("a copy of a vault or a secret that is nearly right: the program restores what was backed up, or says why it does not", async () => {
  const outcomes = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const random = new Prng(testSeed(), round);
    const place = random.pick(places);
    const byIdentity = place === identity || (place !== recoveryKey && random.below(3) === 0);
    const bytes = readFileSync(place);
    writeFileSync(place, mutated(bytes, testSeed(), round));
    try {
      const given = byIdentity ? ["--identity-file", identity] : ["--recovery-key-file", recoveryKey];
      const { status, said } = await restore(given);
      const told = `round ${round}, ${path.relative(folder, place)}, by ${given[0]}: ${said}`;
      assert.ok(status === 0 || status === 1, told);
      assert.doesNotMatch(said, /^\s+at /m, told);
      if (status === 0) {
        assert.ok(isWhole(GOLDEN_LATER) || isWhole(GOLDEN_EARLIER), told);
        for (const [name, content] of GOLDEN_DELTA_SEGMENTS) {
          const file = path.join(target, "pg_wal", name);
          // The delta needs none of what lies before it.
          assert.ok(existsSync(file) ? readFileSync(file).equals(content) : name.endsWith("3"), `${name}, ${told}`);
        }
      } else {
        assert.ok(said.trim() !== "", told);
        assert.equal(existsSync(path.join(target, "global/pg_control")), false, told);
      }
      const key = `${status}`;
      outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
    } finally {
      writeFileSync(place, bytes);
    }
  }
  // Both happen: else the rounds show little.
  assert.deepEqual([...outcomes.keys()].sort(), ["0", "1"]);
});
