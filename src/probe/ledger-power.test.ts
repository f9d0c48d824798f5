import assert from "node:assert/strict";
import { type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import type { Instant } from "../platform/clock.ts";
import { LedgerWriter, readLedger } from "./ledger.ts";
import { checksumOf, payloadOf } from "./write-table.ts";

const FILE = "/srv/ledger";
const CLIENT_ID = "00112233445566778899aabbccddeeff";

function writing(): Story {
  let created = false;
  let acknowledged = 0;
  return {
    before: (files) => files.makeFolder("/srv"),
    live: async (files) => {
      const writer = await LedgerWriter.create(files, { file: FILE, clientId: CLIENT_ID });
      created = true;
      for (let sequence = 1; sequence <= 3; sequence += 1) {
        const key = { clientId: CLIENT_ID, sequence };
        const checksum = checksumOf({ ...key, payload: payloadOf(key) });
        await writer.append({ sequence, acknowledgedAt: 1_776_500_000_000 as Instant, checksum });
        acknowledged = sequence;
      }
      await writer.close();
    },
    after: async (files) => {
      if (!created) return;
      const { records } = await readLedger(files, FILE);
      assert.ok(records.length >= acknowledged, `${records.length} of ${acknowledged} records`);
    },
  };
}

testPowerCuts("a ledger written", writing, [
  "src/probe/ledger.ts create: sync",
  "src/probe/ledger.ts create: syncFolder",
  "src/probe/ledger.ts writeAll: sync",
]);
