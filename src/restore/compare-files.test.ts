import assert from "node:assert/strict";
import { createHmac, createSecretKey } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { withFolder } from "../../test/support/backups.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { type BytesFile, type PagesFile, ZERO_CHUNK } from "../vault/manifest.ts";
import { BATCH_PAGES, BATCH_PARTS, ComparerPool } from "../vault/threads/comparer-pool.ts";
import { compareFiles, type FileWanted, type KeptFile, type PagesTaker } from "./compare-files.ts";

const WAYS = [
  { name: "here", bytesHere: Number.POSITIVE_INFINITY },
  { name: "beside the main thread", bytesHere: 0 },
] as const;

const KEY = createSecretKey(Buffer.alloc(32, "key"));

/** More than two batches. */
const PAGE_COUNT = BATCH_PAGES * 2 + 7;
/** Incompressible where it counts: every page has bytes of its own. */
const pages = Buffer.alloc(PAGE_COUNT * BLOCK_BYTES);
for (let page = 0; page < PAGE_COUNT; page += 1) systemRandom(64).copy(pages, page * BLOCK_BYTES);

function fingerprintsOf(bytes: Buffer): Buffer {
  const count = bytes.byteLength / BLOCK_BYTES;
  const prints = Buffer.alloc(count * 12);
  for (let page = 0; page < count; page += 1) {
    const at = page * BLOCK_BYTES;
    bytes.copy(prints, page * 8, at, at + 8);
    prints.writeUInt32LE(crc32(bytes.subarray(at, at + BLOCK_BYTES)), count * 8 + page * 4);
  }
  return prints;
}

/** The backup's pages with a byte of each of these changed. */
function withChanged(...at: readonly { readonly page: number; readonly byte: number }[]): Buffer {
  const bytes = Buffer.from(pages);
  for (const { page, byte } of at)
    bytes.writeUInt8(bytes.readUInt8(page * BLOCK_BYTES + byte) ^ 1, page * BLOCK_BYTES + byte);
  return bytes;
}

/** What a manifest says of the file. */
function lineOf(bytes: Buffer, extents: readonly number[]): PagesFile {
  const fingerprints = [0, 0, (bytes.byteLength / BLOCK_BYTES) * 12];
  const attributes = { path: "base/5/1", mode: 0o600, modifiedS: 0, sizeBytes: bytes.byteLength };
  return { kind: "pages", ...attributes, extents: [...extents], fingerprints };
}

const bytesLine = (content: Buffer): BytesFile => {
  const contentName = createHmac("sha256", KEY).update(content).digest("hex");
  const attributes = { path: "base/5/1_fsm", mode: 0o600, modifiedS: 0, sizeBytes: content.byteLength };
  return { kind: "bytes", ...attributes, pieces: [], contentName };
};

for (const { name, bytesHere } of WAYS) {
  describe(`files that are compared ${name}`, () => {
    /** Compares files that hold these bytes; undefined leaves one out. */
    async function compareAll(
      line: PagesFile | BytesFile,
      contents: readonly (Buffer | undefined)[],
    ): Promise<readonly unknown[]> {
      const pool = new ComparerPool(systemFiles, KEY, { bytesHere });
      const fingerprints = { read: async () => fingerprintsOf(pages) };
      const found = new Map<string, KeptFile | undefined>();
      const onFile = (file: FileWanted, kept: KeptFile | undefined): void => {
        assert.ok(!found.has(file.target));
        found.set(file.target, kept);
      };
      return withFolder(async (folder) => {
        const files = contents.map((_, index) => ({ line, target: path.join(folder, `file ${index}`) }));
        for (const [index, content] of contents.entries()) {
          if (content !== undefined) await writeFile(files[index]?.target ?? "", content, { mode: 0o600 });
        }
        try {
          await compareFiles({ fingerprints, pool, onFile }, files, {});
        } finally {
          await pool.close();
        }
        return files.map(({ target }, index) => {
          const kept = found.get(target);
          if (kept === undefined) return kept;
          const { facts, ...rest } = kept;
          assert.deepEqual([facts.sizeBytes, facts.mode], [contents[index]?.byteLength, 0o600]);
          return rest;
        });
      });
    }

    const whole = [0, PAGE_COUNT, 0, 0];

    test("keep the pages that are the backup's, in whichever byte the others differ", async () => {
      const border = BATCH_PAGES - 1;
      const changed = withChanged(
        { page: 0, byte: BLOCK_BYTES - 1 },
        { page: border, byte: 100 },
        { page: border + 1, byte: 3 },
        { page: PAGE_COUNT - 1, byte: 8 },
      );
      assert.deepEqual(await compareAll(lineOf(pages, whole), [pages, changed]), [
        { kind: "pages", differing: [], keptPages: PAGE_COUNT },
        { kind: "pages", differing: [0, 1, border, 2, PAGE_COUNT - 1, 1], keptPages: PAGE_COUNT - 4 },
      ]);
    });

    test("differ where a file is too short, and what lies behind the backup's end counts for nothing", async () => {
      const present = BATCH_PAGES + 3;
      const cut = pages.subarray(0, present * BLOCK_BYTES + 100);
      const longer = Buffer.concat([pages, Buffer.alloc(3 * BLOCK_BYTES, 1)]);
      assert.deepEqual(await compareAll(lineOf(pages, whole), [cut, longer]), [
        { kind: "pages", differing: [present, PAGE_COUNT - present], keptPages: present },
        { kind: "pages", differing: [], keptPages: PAGE_COUNT },
      ]);
    });

    test("are written anew where no page stays, and where one has to become zero", async () => {
      const extents = [0, 5, 0, 0, 5, 1, ZERO_CHUNK, 0, 6, PAGE_COUNT - 6, 0, 5];
      const contents = [
        undefined,
        Buffer.alloc(0),
        Buffer.alloc(pages.byteLength, 9),
        withChanged({ page: 5, byte: 0 }),
        withChanged({ page: 6, byte: 0 }),
      ];
      assert.deepEqual(await compareAll(lineOf(pages, extents), contents), [
        undefined,
        undefined,
        undefined,
        undefined,
        { kind: "pages", differing: [6, 1], keptPages: PAGE_COUNT - 1 },
      ]);
    });

    test("of bytes stay when all of them are the backup's", async () => {
      const content = systemRandom(300_000);
      const other = Buffer.from(content);
      other.writeUInt8(other.readUInt8(299_999) ^ 1, 299_999);
      const contents = [content, other, content.subarray(1), Buffer.concat([content, content]), undefined];
      const gone = [undefined, undefined, undefined, undefined];
      assert.deepEqual(await compareAll(bytesLine(content), contents), [{ kind: "same" }, ...gone]);
      const many = Array.from({ length: BATCH_PARTS * 3 }, () => Buffer.alloc(0));
      assert.deepEqual(
        await compareAll(bytesLine(Buffer.alloc(0)), many),
        many.map(() => ({ kind: "same" })),
      );
    });

    test("give the pages that differ to who takes them: those of each file in order, and then its end", async () => {
      const changed = [
        withChanged({ page: 1, byte: 0 }, { page: BATCH_PAGES, byte: 9 }, { page: PAGE_COUNT - 1, byte: 100 }),
        Buffer.alloc(pages.byteLength, 9),
        withChanged({ page: 2, byte: 4 }, { page: 3, byte: 4 }),
      ];
      const taken: { pages: Buffer; kept: KeptFile | undefined }[] = [];
      let under: Buffer[] = [];
      const taker: PagesTaker = {
        // Whoever takes them is slower than who compares.
        take: async (each) => {
          await new Promise((resolve) => setImmediate(resolve));
          under.push(Buffer.from(each));
        },
        endFile: async (_file, kept) => {
          taken.push({ pages: Buffer.concat(under), kept });
          under = [];
        },
      };
      const pool = new ComparerPool(systemFiles, KEY, { bytesHere, takesPages: true });
      const fingerprints = { read: async () => fingerprintsOf(pages) };
      await withFolder(async (folder) => {
        const files = changed.map((_, index) => ({
          line: lineOf(pages, whole),
          target: path.join(folder, `${index}`),
        }));
        for (const [index, content] of changed.entries()) await writeFile(files[index]?.target ?? "", content);
        try {
          await compareFiles({ fingerprints, pool, onFile: () => undefined, taker }, files, {});
        } finally {
          await pool.close();
        }
      });
      const pageOf = (bytes: Buffer | undefined, page: number): Buffer =>
        bytes?.subarray(page * BLOCK_BYTES, (page + 1) * BLOCK_BYTES) ?? Buffer.alloc(0);
      const wanted = [[1, BATCH_PAGES, PAGE_COUNT - 1], Array.from({ length: PAGE_COUNT }, (_, page) => page), [2, 3]];
      for (const [index, list] of wanted.entries()) {
        const all = Buffer.concat(list.map((page) => pageOf(changed[index], page)));
        assert.equal(taken[index]?.pages.compare(all), 0, `${taken[index]?.pages.byteLength} bytes of file ${index}`);
      }
      assert.deepEqual(
        taken.map(({ kept }) => kept?.kind),
        ["pages", undefined, "pages"],
      );
    });

    test("of which one gets a second name while its parts are compared are written anew", async () => {
      await withFolder(async (folder) => {
        const target = path.join(folder, "file");
        await writeFile(target, pages);
        let opened = 0;
        const openBlocking: Files["openBlocking"] = (file) => {
          const found = systemFiles.openBlocking(file);
          opened += 1;
          return found && { ...found, facts: { ...found.facts, nameCount: opened === 2 ? 2 : 1 } };
        };
        const pool = new ComparerPool({ openBlocking }, KEY, { bytesHere: Number.POSITIVE_INFINITY });
        const fingerprints = { read: async () => fingerprintsOf(pages) };
        const found: (KeptFile | undefined)[] = [];
        const onFile = (_: FileWanted, kept: KeptFile | undefined): void => void found.push(kept);
        await compareFiles({ fingerprints, pool, onFile }, [{ line: lineOf(pages, whole), target }], {});
        await pool.close();
        assert.deepEqual([opened, found], [3, [undefined]]);
      });
    });

    test("that cannot be read end the comparison with what the file system said", async () => {
      await withFolder(async (folder) => {
        const target = path.join(folder, "n".repeat(300));
        const pool = new ComparerPool(systemFiles, KEY, { bytesHere });
        const fingerprints = { read: async () => fingerprintsOf(pages) };
        const files = [{ line: bytesLine(Buffer.alloc(10)), target }];
        const comparing = compareFiles({ fingerprints, pool, onFile: () => assert.fail() }, files, {});
        await assert.rejects(comparing, (error) => {
          assert.ok(isLifeboatError(error, "platform.file-failed"));
          assert.match(error.message, /^cannot open .*ENAMETOOLONG/);
          return true;
        });
        await pool.close();
      });
    });
  });
}
