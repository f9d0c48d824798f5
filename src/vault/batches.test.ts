import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tableOf, writeChunks } from "../../test/support/packs.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemRandom } from "../platform/random.ts";
import { BatchFetcher } from "./batches.ts";
import type { ChunkTable } from "./manifest.ts";
import { packName } from "./names.ts";
import { CHUNK_BYTES_MAX, PACK_BYTES_TARGET } from "./pack.ts";

const WAYS = [
  { name: "here", besideBytesMin: Number.POSITIVE_INFINITY },
  { name: "beside the main thread", besideBytesMin: 0 },
] as const;

/** Compressible and not, long and short: over two packs. */
function manyChunks(): readonly Buffer[] {
  const count = Math.ceil((PACK_BYTES_TARGET * 1.7) / CHUNK_BYTES_MAX);
  return Array.from({ length: count }, (_, index) => {
    if (index % 3 === 0) return Buffer.alloc(1 + ((index * 977) % CHUNK_BYTES_MAX), `chunk ${index} `);
    return systemRandom(CHUNK_BYTES_MAX - (index % 50));
  });
}

async function readChunks(
  fetcher: BatchFetcher,
  wanted: { readonly table: ChunkTable; readonly numbers: readonly number[] },
): Promise<ReadonlyMap<number, Buffer>> {
  const found = new Map<number, Buffer>();
  for await (const { numbers, starts, plain } of fetcher.fetch(wanted, {})) {
    for (const [index, number] of numbers.entries()) {
      found.set(number, Buffer.from(plain.subarray(starts[index], starts[index + 1])));
    }
  }
  return found;
}

for (const { name, besideBytesMin } of WAYS) {
  describe(`fetching chunks in batches that are opened ${name}`, () => {
    test("gives each that is wanted and no other, over several packs", async () => {
      const vault = await createTestVault();
      const plains = manyChunks();
      const packs = await writeChunks(vault, plains);
      assert.ok(packs.length > 1);
      const table = tableOf(packs);
      const all = [...plains.keys()];
      const fetcher = new BatchFetcher(vault, besideBytesMin);
      for (const numbers of [all, all.filter((number) => number % 7 === 0), [3], []]) {
        const found = await readChunks(fetcher, { table, numbers });
        assert.deepEqual(
          [...found.keys()].toSorted((a, b) => a - b),
          numbers,
        );
        for (const [number, plain] of found) assert.ok(plains[number]?.equals(plain), `chunk ${number}`);
      }
      await fetcher.close();
    });

    test("names the pack and the chunk that is damaged, after all that lies before it, and goes on to fetch others", async () => {
      const vault = await createTestVault();
      const plains = Array.from({ length: 100 }, (_, index) => systemRandom(100_000 + index));
      const [pack] = await writeChunks(vault, plains);
      assert.ok(pack !== undefined);
      const object = packName(pack.facts.id);
      const bytes = Buffer.from(await vault.store.get(object));
      const at = (pack.places[70]?.offset ?? 0) + 5;
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      await vault.store.delete(object);
      await vault.store.put(object, [bytes]);
      let count = 0;
      const table = tableOf([pack]);
      const fetcher = new BatchFetcher(vault, besideBytesMin);
      const reading = async (): Promise<void> => {
        for await (const { numbers } of fetcher.fetch({ table, numbers: [...plains.keys()] }, {})) {
          count += numbers.length;
        }
      };
      await assert.rejects(reading(), (error) => {
        assert.ok(isLifeboatError(error, "vault.object-damaged"));
        assert.match(error.message, new RegExp(`${object}.*chunk 70 at byte ${pack.places[70]?.offset} does not open`));
        return true;
      });
      assert.ok(count > 50 && count <= 70, `${count} chunks came before`);
      const others = [...plains.keys()].filter((number) => number !== 70);
      const found = await readChunks(fetcher, { table, numbers: others });
      for (const number of others) assert.ok(found.get(number)?.equals(plains[number] ?? Buffer.alloc(0)));
      await fetcher.close();
    });

    test("ends with whoever takes them, and on request", async () => {
      const vault = await createTestVault();
      const plains = manyChunks();
      const wanted = { table: tableOf(await writeChunks(vault, plains)), numbers: [...plains.keys()] };
      const fetcher = new BatchFetcher(vault, besideBytesMin);
      for await (const { numbers } of fetcher.fetch(wanted, {})) {
        assert.ok(numbers.length > 0);
        break;
      }
      const stop = new AbortController();
      const reading = async (): Promise<void> => {
        for await (const { numbers } of fetcher.fetch(wanted, { signal: stop.signal })) {
          assert.ok(numbers.length > 0);
          stop.abort();
        }
      };
      await assert.rejects(reading(), (error) => isLifeboatError(error, "platform.aborted"));
      await fetcher.close();
    });
  });
}
