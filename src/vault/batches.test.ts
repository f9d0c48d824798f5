import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { tableOf, writeChunks, writeLargeChunks } from "../../test/support/packs.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { fileErrorOf, systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { BatchFetcher, type WantedChunks } from "./batches.ts";
import { packName } from "./names.ts";
import { CHUNK_BYTES, CHUNK_BYTES_MAX, PACK_BYTES_TARGET } from "./pack.ts";
import type { Vault } from "./vault.ts";

const WAYS = [
  { name: "here", besideBytesMin: Number.POSITIVE_INFINITY, onDisk: false },
  { name: "beside the main thread", besideBytesMin: 0, onDisk: false },
  { name: "here, from a disk", besideBytesMin: Number.POSITIVE_INFINITY, onDisk: true },
  { name: "beside the main thread, from a disk", besideBytesMin: 0, onDisk: true },
] as const;

const folder = await mkdtemp(path.join(os.tmpdir(), "batches-"));
after(() => rm(folder, { recursive: true, force: true }));
let folders = 0;

/** An empty vault, in memory or on disk. */
async function createVault(onDisk: boolean): Promise<Vault> {
  if (!onDisk) return createTestVault();
  folders += 1;
  const tools = { files: systemFiles, random: systemRandom, clock: systemClock };
  return createTestVault(await openDiskStore({ ...tools, folder: path.join(folder, `${folders}`) }));
}

/** Compressible and not, long and short: over two packs. */
function manyChunks(): readonly Buffer[] {
  const count = Math.ceil((PACK_BYTES_TARGET * 1.7) / CHUNK_BYTES);
  return Array.from({ length: count }, (_, index) => {
    if (index % 3 === 0) return Buffer.alloc(1 + ((index * 977) % CHUNK_BYTES), `chunk ${index} `);
    return systemRandom(CHUNK_BYTES - (index % 50));
  });
}

async function readChunks(fetcher: BatchFetcher, wanted: WantedChunks): Promise<ReadonlyMap<number, Buffer>> {
  const found = new Map<number, Buffer>();
  for await (const { numbers, starts, plain } of fetcher.fetch(wanted, {})) {
    for (const [index, number] of numbers.entries()) {
      found.set(number, Buffer.from(plain.subarray(starts[index], starts[index + 1])));
    }
  }
  return found;
}

for (const { name, besideBytesMin, onDisk } of WAYS) {
  describe(`fetching chunks in batches that are opened ${name}`, () => {
    test("names the pack that was cut", async () => {
      const vault = await createVault(onDisk);
      const [pack] = await writeChunks(vault, [systemRandom(60_000), systemRandom(60_000)]);
      assert.ok(pack !== undefined);
      const object = packName(pack.facts.id);
      const bytes = await vault.store.get(object);
      await vault.store.delete(object);
      await vault.store.put(object, [bytes.subarray(0, (pack.places[1]?.offset ?? 0) + 10)]);
      const fetcher = new BatchFetcher(vault, besideBytesMin);
      await assert.rejects(readChunks(fetcher, { table: tableOf([pack]), numbers: [0, 1] }), (error) => {
        assert.ok(isLifeboatError(error, "vault.object-damaged"));
        assert.match(error.message, new RegExp(`${object}.*shorter than it was`));
        return true;
      });
      await fetcher.close();
    });

    test("scatters chunks into files, and hands out those that are wanted too", async () => {
      const vault = await createVault(onDisk);
      const plains = Array.from({ length: 80 }, (_, index) => Buffer.alloc(60_000 + index, `chunk ${index} `));
      const table = tableOf(await writeChunks(vault, plains));
      const numbers = [...plains.keys()];
      const file = path.join(folder, `scattered ${name}`);
      await systemFiles.makeFile(file, { sizeBytes: 0, permissions: 0o600 });
      const handle = await systemFiles.open(file, "update");
      const { descriptor = -1 } = handle;
      const isWanted = (number: number): boolean => number % 3 === 0;
      /** The end of each chunk, then its beginning. */
      const writesOf = (number: number) => [
        ...[descriptor, 59_000, 1000, number * 2000],
        ...[descriptor, 0, 1000, number * 2000 + 1000],
      ];
      const scatter = {
        plan: async (of: readonly number[]) => of.map((each) => ({ writes: writesOf(each), wanted: isWanted(each) })),
        unwritten: () => assert.fail("nothing fails"),
      };
      const fetcher = new BatchFetcher(vault, besideBytesMin);
      const found = await readChunks(fetcher, { table, numbers, scatter });
      for (const number of numbers) {
        const plain = plains[number] ?? Buffer.alloc(0);
        const wanted = isWanted(number) ? plain : Buffer.alloc(0);
        assert.ok(found.get(number)?.equals(wanted), `chunk ${number}`);
        const written = await handle.read({ position: number * 2000, length: 2000 });
        assert.ok(written.equals(Buffer.concat([plain.subarray(59_000, 60_000), plain.subarray(0, 1000)])));
      }
      await handle.close();
      await fetcher.close();
    });

    test("scatters chunks of the largest size, which earlier versions made", async () => {
      const vault = await createVault(onDisk);
      const plains = Array.from({ length: 80 }, () => systemRandom(CHUNK_BYTES_MAX));
      const pack = await writeLargeChunks(vault, plains);
      const file = path.join(folder, `large ${name}`);
      await systemFiles.makeFile(file, { sizeBytes: 0, permissions: 0o600 });
      const handle = await systemFiles.open(file, "update");
      const { descriptor = -1 } = handle;
      const scatter = {
        plan: async (of: readonly number[]) =>
          of.map((each) => ({ writes: [descriptor, 0, CHUNK_BYTES_MAX, each * CHUNK_BYTES_MAX], wanted: false })),
        unwritten: () => assert.fail("nothing fails"),
      };
      const fetcher = new BatchFetcher(vault, besideBytesMin);
      await readChunks(fetcher, { table: tableOf([pack]), numbers: pack.numbers, scatter });
      assert.ok((await readFile(file)).equals(Buffer.concat(plains)));
      await handle.close();
      await fetcher.close();
    });

    test("says which write failed, and writes nothing from outside a chunk", async () => {
      const vault = await createVault(onDisk);
      const table = tableOf(await writeChunks(vault, [systemRandom(5000), systemRandom(5000)]));
      const file = path.join(folder, "unwritten");
      await writeFile(file, "as it was");
      const handle = await systemFiles.open(file, "read");
      const { descriptor = -1 } = handle;
      for (const { length, code } of [
        { length: 5000, code: "platform.file-failed" },
        { length: 5001, code: "platform.assertion-failed" },
      ] as const) {
        const scatter = {
          plan: async (of: readonly number[]) =>
            of.map((each) => ({ writes: each === 1 ? [descriptor, 0, length, 0] : [], wanted: false })),
          unwritten: (failed: number, errno: string) => fileErrorOf("write", `${failed === descriptor}`, errno),
        };
        const fetcher = new BatchFetcher(vault, besideBytesMin);
        await assert.rejects(readChunks(fetcher, { table, numbers: [0, 1], scatter }), (error) => {
          if (code === "platform.file-failed") assert.match(String(error), /cannot write true: EBADF/);
          return isLifeboatError(error, code) || /lies inside its chunk/.test(String(error));
        });
        await fetcher.close();
      }
      await handle.close();
      assert.equal(await readFile(file, "utf8"), "as it was");
    });

    // What is fetched of many packs does not depend on where they lie.
    if (onDisk) return;

    test("gives each that is wanted and no other, over several packs", async () => {
      const vault = await createVault(onDisk);
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
      const vault = await createVault(onDisk);
      const plains = Array.from({ length: 100 }, (_, index) => systemRandom(60_000 + index));
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
      const vault = await createVault(onDisk);
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
