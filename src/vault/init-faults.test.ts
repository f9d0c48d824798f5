import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import { checkVault } from "./check.ts";
import type { VaultSecret } from "./keys.ts";
import { NO_STRETCH } from "./keys.ts";
import { VAULT_MARKER_COPY } from "./names.ts";
import { RESTORE_PROGRAMS } from "./restore-program.ts";
import { getBlob, initVault, openVault, putBlob } from "./vault.ts";

const OPEN: VaultSecret = { kind: "open" };
const SEALED: VaultSecret = { kind: "passphrase", passphrase: "correct horse battery staple" };
const PROGRAM_NAME = [...RESTORE_PROGRAMS.keys()].at(-1) ?? "";
const NAME = "wal/1/history/00000002";

describe("making a vault in a store that fails", () => {
  for (const kind of ["fail-before", "fail-after", "disk-full"] as const) {
    test(`${kind}, at each effect in turn: there is a vault that opens, or none and a new one can be made`, async () => {
      for (let at = 1; ; at += 1) {
        const tools = {
          store: openMemoryStore({ clock: systemClock }),
          clock: systemClock,
          random: systemRandom,
          stretchCost: NO_STRETCH,
        };
        const faulty = faultyStore({ ...tools, faults: [{ at, kind }] });
        const made = await initVault({ ...tools, files: systemFiles, store: faulty.store }, OPEN, {}).catch(
          (error: unknown) => error,
        );
        if (faulty.effects.length < at) {
          assert.ok(at > 5 && !isLifeboatError(made));
          assert.ok((await tools.store.head(PROGRAM_NAME)) !== undefined, "the restore program is there");
          return;
        }
        faulty.assertFired();
        const opened: unknown = await openVault(tools, OPEN, {}).catch((error: unknown) => error);
        const { key, operation } = faulty.effects[at - 1] ?? assert.fail();
        // The copy of the marker is the next backup's to put: whoever made the vault must be shown its recovery key.
        const unharmed = operation === "put" ? key === VAULT_MARKER_COPY : operation === "get" && kind === "fail-after";
        const failure = kind === "disk-full" ? "platform.disk-full" : "store.failed";
        assert.ok(isLifeboatError(made, failure) || (unharmed && !isLifeboatError(made)), String(made));
        if (isLifeboatError(opened)) {
          assert.equal(opened.code, "vault.not-a-vault");
          await initVault({ ...tools, files: systemFiles }, OPEN, {});
        } else assert.ok(kind === "fail-after" || !isLifeboatError(made));
        const vault = await openVault(tools, OPEN, {});
        await putBlob(vault, { name: NAME, plain: Buffer.from("content") }, {});
        assert.equal((await getBlob(await openVault(tools, OPEN, {}), NAME, {})).toString(), "content");
        assert.deepEqual((await checkVault(vault, { readData: true, onProgress: () => undefined })).findings, []);
      }
    });
  }

  test("what an open vault's making left does not open the sealed one that was made after it", async () => {
    const tools = {
      store: openMemoryStore({ clock: systemClock }),
      clock: systemClock,
      random: systemRandom,
      stretchCost: NO_STRETCH,
    };
    const faulty = faultyStore({ ...tools, faults: [{ at: 2, on: "put", kind: "fail-before" }] });
    await assert.rejects(initVault({ ...tools, store: faulty.store }, OPEN, {}));
    faulty.assertFired();
    const { vault } = await initVault(tools, SEALED, {});
    assert.deepEqual((await openVault(tools, SEALED, {})).dataKey, vault.dataKey);
  });
});
