import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tableOf, writeChunks } from "../../test/support/packs.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { faultyStore } from "../store/faulty/faulty-store.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { packName } from "./names.ts";
import { CHUNK_BYTES, PACK_BYTES_TARGET } from "./pack.ts";
import { checkPackBytes, fetchChunks, readPackIndex } from "./pack-reader.ts";
import type { StoredPack } from "./pack-writer.ts";
import type { Vault } from "./vault.ts";

async function readAll(vault: Vault, packs: readonly StoredPack[]): Promise<ReadonlyMap<number, Buffer>> {
  const table = tableOf(packs);
  const plains = new Map<number, Buffer>();
  for (const pack of packs) {
    const numbers = pack.numbers;
    for await (const chunk of fetchChunks(vault, { table, pack: pack.facts, numbers }, {})) {
      plains.set(chunk.number, await chunk.plain);
    }
  }
  return plains;
}

describe("packs", () => {
  test("what was written comes back by number, over several packs, compressible or not", async () => {
    const vault = await createTestVault();
    const plains: Buffer[] = [];
    const count = Math.ceil((PACK_BYTES_TARGET * 1.2) / CHUNK_BYTES);
    for (let index = 0; index < count; index += 1) {
      const compressible = index % 3 === 0;
      plains.push(compressible ? Buffer.alloc(1 + (index % 9000), index) : systemRandom(CHUNK_BYTES - (index % 50)));
    }
    const packs = await writeChunks(vault, plains);
    assert.ok(packs.length >= 1);
    const read = await readAll(vault, packs);
    assert.equal(read.size, plains.length);
    for (const [number, plain] of plains.entries()) assert.ok(read.get(number)?.equals(plain), `chunk ${number}`);
  });

  test("the index in a pack names the same chunks as the writer did", async () => {
    const vault = await createTestVault();
    const [pack] = await writeChunks(vault, [Buffer.alloc(10, 1), systemRandom(5000), Buffer.alloc(CHUNK_BYTES, 3)]);
    assert.ok(pack !== undefined);
    assert.deepEqual(await readPackIndex(vault, pack.facts, {}), pack.places);
    await checkPackBytes(vault, pack.facts, {});
  });

  test("an index whose footer was changed, or that another pack's footer ends, does not open", async () => {
    const vault = await createTestVault();
    const [pack] = await writeChunks(vault, [Buffer.alloc(10, 1), systemRandom(5000)]);
    assert.ok(pack !== undefined);
    const name = packName(pack.facts.id);
    const bytes = await vault.store.get(name);
    for (let at = 0; at < 16; at += 1) {
      const changed = Buffer.from(bytes);
      const place = bytes.byteLength - 16 + at;
      changed[place] = (changed[place] ?? 0) ^ 1;
      await replace(vault.store, name, changed);
      await assert.rejects(
        readPackIndex(vault, pack.facts, {}),
        (error) => isLifeboatError(error, "vault.object-damaged"),
        `byte ${at} of the footer`,
      );
    }
  });

  test("a cut, a changed and a swapped pack are each named as damaged", async () => {
    const vault = await createTestVault();
    const [one] = await writeChunks(vault, [systemRandom(50_000)]);
    const [two] = await writeChunks(vault, [systemRandom(50_000)]);
    assert.ok(one !== undefined && two !== undefined);
    const name = packName(one.facts.id);
    const bytes = await vault.store.get(name);
    const changed = Buffer.from(bytes);
    changed[5000] = (changed[5000] ?? 0) ^ 0x80;
    const replacements = [bytes.subarray(0, 40_000), changed, await vault.store.get(packName(two.facts.id))];
    for (const replacement of replacements) {
      await replace(vault.store, name, replacement);
      await assert.rejects(readAll(vault, [one]), (error) => isLifeboatError(error, "vault.object-damaged"));
      await assert.rejects(checkPackBytes(vault, one.facts, {}), (error) =>
        isLifeboatError(error, "vault.object-damaged"),
      );
    }
    await vault.store.delete(name);
    await assert.rejects(readAll(vault, [one]), (error) => isLifeboatError(error, "vault.object-missing"));
  });

  test("a store that keeps other bytes than it was given is found out before the writer finishes", async () => {
    const store = openMemoryStore({ clock: systemClock });
    const vault = await createTestVault(store);
    const faulty = faultyStore({
      store,
      clock: systemClock,
      faults: [{ at: 1, on: "getRange", kind: "flipped", offset: 99 }],
    });
    await assert.rejects(writeChunks({ ...vault, store: faulty.store }, [systemRandom(4000)]), (error) =>
      isLifeboatError(error, "vault.object-damaged"),
    );
    faulty.assertFired();
  });

  test("a store that fails makes the writer fail, at whichever call", async () => {
    for (let at = 1; ; at += 1) {
      const store = openMemoryStore({ clock: systemClock });
      const vault = await createTestVault(store);
      const faulty = faultyStore({ store, clock: systemClock, faults: [{ at, kind: "fail-before" }] });
      const plains = [systemRandom(4000), systemRandom(100)];
      const outcome = await writeChunks({ ...vault, store: faulty.store }, plains).then(
        () => "stored",
        (error: unknown) => (isLifeboatError(error, "store.failed") ? "failed" : String(error)),
      );
      if (faulty.effects.length < at) {
        assert.equal(outcome, "stored");
        assert.ok(at > 3, "put, read back and head were each failed");
        return;
      }
      faulty.assertFired();
      assert.equal(outcome, "failed");
    }
  });

  test("an abort stops the writer with its step named", async () => {
    const vault = await createTestVault();
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(writeChunks(vault, [systemRandom(10)], controller.signal), (error) =>
      isLifeboatError(error, "platform.aborted"),
    );
  });
});

async function replace(store: Store, key: string, bytes: Buffer): Promise<void> {
  await store.delete(key);
  await store.put(key, [bytes]);
}
