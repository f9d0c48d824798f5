import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { syntheticProof } from "../../test/support/proofs.ts";
import { LifeboatError } from "../errors/error.ts";
import type { SystemId } from "../postgres/lsn.ts";
import type { BackupId } from "../vault/names.ts";
import type { DamagedProof, ProofDepth, ProofRecord } from "../vault/proofs.ts";
import { measuredRates, retainedProofs, standings } from "./decide.ts";

const backupId = "20260101t030000z-0a1b2c3d" as BackupId;
const systemId = "7301234567890123456" as SystemId;
const MIB = 1024 * 1024;

/** A proof of the given minute. */
function proof(
  minute: number,
  asked: ProofDepth,
  failedAt: ProofDepth | null,
  changes: Partial<ProofRecord> = {},
): ProofRecord {
  const failed = failedAt === null ? {} : { failedAt };
  return { ...syntheticProof({ backupId, systemId }, { minute, asked, ...failed }), ...changes };
}

function unreadable(minute: number): DamagedProof {
  const reason = new LifeboatError("vault.object-damaged", { message: "m", remedy: "R." });
  return { systemId, backupId, proofId: proof(minute, "present", null).proofId, reason };
}

type Standing = "none" | "failed" | "unreadable" | ProofDepth;

const cases: readonly (readonly [string, readonly ProofRecord[], Standing, boolean])[] = [
  ["no proof: none", [], "none", false],
  ["intact: proven, and not yet by a restore", [proof(1, "intact", null)], "intact", false],
  ["booted: proven by a restore", [proof(1, "booted", null)], "booted", true],
  [
    "booted, then present: what was shown stands",
    [proof(1, "booted", null), proof(2, "present", null)],
    "booted",
    true,
  ],
  ["booted, then checked: the deeper one", [proof(1, "booted", null), proof(2, "checked", null)], "checked", true],
  [
    "booted, then failed at present: not proven any more",
    [proof(1, "booted", null), proof(2, "present", "present")],
    "failed",
    false,
  ],
  [
    "checked failed, then booted passed: what was found there stands",
    [proof(1, "checked", "checked"), proof(2, "booted", null)],
    "failed",
    false,
  ],
  [
    "checked failed at intact, then booted passed: the pack was copied back",
    [proof(1, "checked", "intact"), proof(2, "booted", null)],
    "booted",
    true,
  ],
  [
    "failed, then passed at the same depth: proven",
    [proof(1, "booted", "booted"), proof(2, "booted", null)],
    "booted",
    true,
  ],
];

describe("the standing of a backup:", () => {
  for (const [what, proofs, standing, proven] of cases) {
    test(what, () => {
      const listing = { proofs, damaged: [] };
      const found = standings(listing).get(backupId) ?? { kind: "none" };
      assert.equal(found.kind === "proven" ? found.depth : found.kind, standing);
      const retained = proven
        ? "booted"
        : standing === "failed"
          ? "failed"
          : found.kind === "proven"
            ? "shown"
            : undefined;
      assert.equal(retainedProofs(listing).get(backupId), retained);
    });
  }

  test("a record that does not open takes back what was shown before it, and not what was shown since", () => {
    const older = { proofs: [proof(1, "booted", null)], damaged: [unreadable(2)] };
    assert.deepEqual(standings(older).get(backupId), { kind: "unreadable" });
    assert.deepEqual([...retainedProofs(older).values()], ["unreadable"]);
    const newer = { proofs: [proof(3, "booted", null)], damaged: [unreadable(2)] };
    assert.equal(standings(newer).get(backupId)?.kind, "proven");
  });
});

describe("measured rates", () => {
  const measured = (minute: number, host: string, seconds: number, changes: Partial<ProofRecord> = {}) =>
    proof(minute, "booted", null, {
      host,
      pointLsn: "0/5000000",
      restoredBytes: 1000 * MIB,
      walBytes: 100 * MIB,
      phases: [
        { phase: "restore", durationMs: seconds * 1000 },
        { phase: "recover", durationMs: seconds * 500 },
      ],
      ...changes,
    });

  test("come from the newest proof of this machine, else of any", () => {
    const proofs = [measured(1, "here", 10), measured(2, "there", 100)];
    assert.deepEqual(measuredRates(proofs, "here"), { writeBytesPerS: 100 * MIB, replayBytesPerS: 20 * MIB });
    assert.deepEqual(measuredRates(proofs, "elsewhere"), { writeBytesPerS: 10 * MIB, replayBytesPerS: 2 * MIB });
  });

  test("are not made of what is too small to tell, nor of a proof that started no server", () => {
    const small = measured(1, "here", 10, { walBytes: MIB });
    assert.deepEqual(measuredRates([small], "here"), { writeBytesPerS: 100 * MIB, replayBytesPerS: undefined });
    assert.deepEqual(measuredRates([measured(1, "here", 10, { pointLsn: null })], "here"), {
      writeBytesPerS: undefined,
      replayBytesPerS: undefined,
    });
  });
});
