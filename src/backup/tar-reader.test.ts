import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isLifeboatError } from "../errors/error.ts";
import { type TarEntry, TarReader } from "./tar-reader.ts";

type Member = { readonly path: string; readonly content: Buffer; readonly type?: string; readonly target?: string };

function header(member: Member, size = member.content.byteLength): Buffer {
  const block = Buffer.alloc(512);
  block.write(member.path, 0, 100);
  block.write("0000600\0", 100);
  if (size < 8 ** 11) block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write("14000000000\0", 136);
  block.write(" ".repeat(8), 148);
  block.write(member.type ?? "0", 156);
  block.write(member.target ?? "", 157, 100);
  block.write("ustar\x0000", 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function archive(members: readonly Member[]): Buffer {
  const parts: Buffer[] = [];
  for (const member of members) {
    parts.push(header(member), member.content, Buffer.alloc((512 - (member.content.byteLength % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function read(bytes: Buffer, pieceBytes: readonly number[]): { entries: TarEntry[]; contents: Map<string, Buffer> } {
  const entries: TarEntry[] = [];
  const contents = new Map<string, Buffer>();
  const reader = new TarReader("base.tar", (entry) => {
    entries.push(entry);
    if (entry.kind !== "file") return undefined;
    const parts: Buffer[] = [];
    return { write: (view) => parts.push(view), end: () => contents.set(entry.path, Buffer.concat(parts)) };
  });
  let at = 0;
  for (let piece = 0; at < bytes.byteLength; piece += 1) {
    const length = pieceBytes[piece % pieceBytes.length] ?? 1;
    assert.equal(reader.write(bytes.subarray(at, at + length)), undefined, "no sink here makes the reader wait");
    at += length;
  }
  reader.end();
  return { entries, contents };
}

const malformed = (error: unknown): boolean => isLifeboatError(error, "backup.stream-malformed");

describe("reading a tar archive", () => {
  test("members come out the same however the bytes are cut", () => {
    const member = fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), content: fc.uint8Array({ maxLength: 2000 }) });
    const members = fc.uniqueArray(member, { selector: (each) => each.name, maxLength: 6 });
    const cuts = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(members, cuts, (drawn, pieceBytes) => {
        const wanted = drawn.map((each) => ({ path: `base/${each.name}`, content: Buffer.from(each.content) }));
        const { contents } = read(archive(wanted), pieceBytes);
        assert.deepEqual(
          [...contents],
          wanted.map((each) => [each.path, each.content]),
        );
      }),
    );
  });

  test("folders, links, permissions and a size past eight gigabytes are read", () => {
    const members: Member[] = [
      { path: "base/", content: Buffer.alloc(0), type: "5" },
      { path: "./pg_wal", content: Buffer.alloc(0), type: "2", target: "/mnt/wal" },
    ];
    const { entries } = read(archive(members), [512]);
    assert.deepEqual(
      entries.map(({ path, kind, target, mode }) => ({ path, kind, target, mode })),
      [
        { path: "base", kind: "folder", target: "", mode: 0o600 },
        { path: "pg_wal", kind: "link", target: "/mnt/wal", mode: 0o600 },
      ],
    );
    const sizes: number[] = [];
    const reader = new TarReader("base.tar", (entry) => {
      sizes.push(entry.sizeBytes);
      return undefined;
    });
    void reader.write(header({ path: "big", content: Buffer.alloc(0) }, 9_000_000_000));
    assert.deepEqual(sizes, [9_000_000_000]);
  });

  test("a path that leads out of the data directory is refused", () => {
    for (const path of ["../etc/passwd", "/etc/passwd", "base/../../x", "base//x", ""]) {
      assert.throws(() => read(archive([{ path, content: Buffer.from("x") }]), [700]), malformed, path);
    }
  });

  test("an archive that was cut, damaged or has something behind its end is refused", () => {
    const good = archive([{ path: "base/1", content: Buffer.alloc(3000, 7) }]);
    assert.throws(() => read(good.subarray(0, 100), [64]), malformed);
    assert.throws(() => read(good.subarray(0, 2000), [64]), malformed);
    const damaged = Buffer.from(good);
    damaged[3] = 0x7a;
    assert.throws(() => read(damaged, [512]), malformed);
    assert.throws(() => read(Buffer.concat([good, Buffer.from("x")]), [512]), malformed);
    assert.throws(() => read(archive([{ path: "device", content: Buffer.alloc(0), type: "3" }]), [512]), malformed);
  });
});
