import assert from "node:assert/strict";
import { test } from "node:test";
import {
  GOLDEN_COMMITS,
  GOLDEN_DELTA_SEGMENTS,
  GOLDEN_EARLIER,
  GOLDEN_LATER,
  takeGoldenBackup,
} from "../../test/golden/make-delta-vault.ts";
import { connectSynthetic } from "../../test/golden/synthetic-server.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { LifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { turnOfOthers } from "../platform/timer.ts";
import { checkVault } from "../vault/check.ts";
import { segmentKey } from "../vault/names.ts";
import { walBetween } from "../wal/settings-between.ts";
import type { WalBetween } from "./backup.ts";

const SEGMENTS = 4;
const commit = GOLDEN_COMMITS.get(107);
assert.ok(commit !== undefined);
const LATEST = { ...GOLDEN_LATER, startLsn: commit.lsn, endLsn: commit.end };
/** The full backup ends in it, the next one begins behind it. */
const [FIRST = ""] = GOLDEN_DELTA_SEGMENTS.keys();

/** A full backup, and its first WAL damaged in the vault. `known`: the WAL is read before the server sends; `noted`: a receiver met that. */
async function scene({ known, noted = false }: { readonly known: boolean; readonly noted?: boolean }) {
  const vault = await createTestVault();
  const full = await takeGoldenBackup(vault, GOLDEN_EARLIER, SEGMENTS);
  const { systemId } = full;
  const name = segmentKey({ systemId, segment: FIRST });
  const bytes = await vault.store.get(name);
  await vault.store.delete(name);
  await vault.store.put(name, [Buffer.from(bytes).fill(0xa5, 70, 90)]);
  const told: string[] = [];
  let sent = 0;
  const answered = Promise.withResolvers<void>();
  const real = walBetween({ vault, files: systemFiles }, full.walSegmentBytes);
  const between: WalBetween = {
    ...real,
    holds: async (...asked) => (noted ? "unreadable" : real.holds(...asked)),
    settings: (...asked) => real.settings(...asked).finally(answered.resolve),
  };
  const direct = connectSynthetic(GOLDEN_LATER);
  const connection: typeof direct = {
    ...direct,
    baseBackup: async (request, sink, options) => {
      sent += 1;
      // So long the server makes its checkpoint.
      if (known) await answered.promise.then(turnOfOthers);
      return direct.baseBackup(request, sink, options);
    },
  };
  const wal = { begin: async () => undefined, covered: async () => undefined, between };
  const onWalUnreadable = ({ code, details }: LifeboatError): void => void told.push(`${code} ${details["object"]}`);
  const taken = await takeGoldenBackup(vault, GOLDEN_LATER, SEGMENTS, { connection, wal, onWalUnreadable });
  return { vault, taken, sent, told, name, wal };
}

test("a backup behind WAL that does not open keeps nothing of the earlier one, is whole, and is kept of itself", async () => {
  const { vault, taken, sent, told, name, wal } = await scene({ known: false });
  assert.deepEqual([taken.parent, taken.whyFull], [null, "wal-unreadable-between"]);
  assert.equal(sent, 2);
  assert.deepEqual(told, [`vault.object-damaged ${name}`]);
  const { backups } = await checkVault(vault, { readData: true, onProgress: () => undefined });
  assert.equal(backups.find(({ backup }) => backup.backupId === taken.backupId)?.whole, true);
  assert.equal((await takeGoldenBackup(vault, LATEST, SEGMENTS, { wal })).parent, taken.backupId);
});

test("what the WAL shows while the server makes its checkpoint spares sending everything twice", async () => {
  const { taken, sent, told, name } = await scene({ known: true });
  assert.deepEqual([taken.parent, taken.whyFull, sent], [null, "wal-unreadable-between", 1]);
  assert.deepEqual(told, [`vault.object-damaged ${name}`]);
});

test("a backup behind WAL that a receiver noted as unreadable is full from the beginning", async () => {
  const { taken, sent, told } = await scene({ known: false, noted: true });
  assert.deepEqual([taken.parent, taken.whyFull, sent], [null, "wal-unreadable-between", 1]);
  assert.deepEqual(told, [], "that is an alarm already");
});
