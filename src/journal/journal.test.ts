import assert from "node:assert/strict";
import { appendFile, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { matchesGolden } from "../../test/support/golden.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { type FileFault, faultyFiles } from "../platform/faulty-files.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { Journal, type JournalTools } from "./journal.ts";
import { interpretJournal, readJournal } from "./read.ts";
import {
  encodeHeader,
  encodeRecord,
  FIRST_HASH,
  JOURNAL_FILE,
  type JournalEntry,
  type JournalRecord,
} from "./record.ts";

function tools(different: Partial<JournalTools> = {}): JournalTools {
  return { files: systemFiles, locks: systemLocks, clock: new ManualClock(), ...different };
}

function entry(name: string, facts: Readonly<Record<string, unknown>> = {}): JournalEntry {
  return { epoch: 7, kind: "intent", name, facts };
}

async function read(folder: string) {
  const reading = await readJournal(systemFiles, path.join(folder, JOURNAL_FILE));
  assert.ok(reading);
  return reading;
}

async function written(folder: string, names: readonly string[]): Promise<void> {
  const journal = await Journal.open(tools(), folder);
  for (const name of names) await journal.append(entry(name));
  await journal.close();
}

const namesOf = ({ records }: { readonly records: readonly { readonly name: string }[] }): readonly string[] =>
  records.map(({ name }) => name);

test("what was appended is read back in order, across openings, with LSNs as PostgreSQL prints them", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  const first = await Journal.open(tools(), folder);
  await first.append(entry("withdraw", { at: parseLsn("0/3000060"), nothing: undefined }));
  await Promise.all(["a", "b", "c"].map((name) => first.append(entry(name))));
  await first.close();
  await first.close();
  const second = await Journal.open(tools(), folder);
  assert.equal(second.head.count, 4);
  const { hash } = await second.append({ epoch: undefined, kind: "note", name: "end", facts: {} });
  assert.equal(second.head.hash, hash);
  await second.close();
  const reading = await read(folder);
  assert.deepEqual(namesOf(reading), ["withdraw", "a", "b", "c", "end"]);
  assert.deepEqual(reading.records[0]?.facts, { at: "0/3000060" });
  assert.equal(reading.records[4]?.epoch, undefined);
  assert.deepEqual([reading.tail.kind, reading.head], ["whole", hash]);
  matchesGolden("journal/journal.log", await readFile(path.join(folder, JOURNAL_FILE), "utf8"));
});

test("what can wait goes to the disk with the next entry, by one sync; alone, or when the journal ends, by itself", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  const { files, effects } = faultyFiles(systemFiles);
  const journal = await Journal.open(tools({ files }), folder);
  const syncs = (): number => effects.filter(({ operation }) => operation === "sync").length;
  const before = syncs();
  const waited = journal.append(entry("done"), "soon");
  await journal.append(entry("meant"));
  await waited;
  assert.equal(syncs(), before + 1);
  await Promise.all(["a", "b"].map((name) => journal.append(entry(name))));
  assert.equal(syncs(), before + 2);
  await journal.append(entry("alone"), "soon");
  void journal.append(entry("last"), "soon");
  await journal.close();
  assert.deepEqual(namesOf(await read(folder)), ["done", "meant", "a", "b", "alone", "last"]);
});

test("a second writer is refused while the first is there", async () => {
  await using temporary = await temporaryFolder("journal");
  const first = await Journal.open(tools(), temporary.folder);
  await assert.rejects(Journal.open(tools(), temporary.folder), (error) => isLifeboatError(error, "journal.busy"));
  await first.close();
  await (await Journal.open(tools(), temporary.folder)).close();
});

test("a record that was cut off anywhere is kept aside and named, and all before it stay", async () => {
  await using temporary = await temporaryFolder("journal");
  const whole = path.join(temporary.folder, "whole");
  await written(whole, ["one", "two", "three"]);
  const bytes = await readFile(path.join(whole, JOURNAL_FILE));
  const lastStart = bytes.lastIndexOf(0x0a, bytes.byteLength - 2) + 1;
  for (const cut of [lastStart + 1, lastStart + 70, bytes.byteLength - 1]) {
    const folder = path.join(temporary.folder, String(cut));
    await written(folder, ["one", "two", "three"]);
    await truncate(path.join(folder, JOURNAL_FILE), cut);
    assert.deepEqual((await read(folder)).tail.kind, "torn");
    await written(folder, ["four"]);
    const reading = await read(folder);
    assert.deepEqual(namesOf(reading), ["one", "two", "journal-torn", "four"]);
    const { keptAs, bytes: size } = reading.records[2]?.facts ?? {};
    assert.equal(size, cut - lastStart);
    const kept = await readFile(path.join(folder, String(keptAs)));
    assert.deepEqual(kept, bytes.subarray(lastStart, cut));
  }
});

test("records that reached the disk in part, with a hole before what is there, are a torn tail, and all before them stay", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  await written(folder, ["one"]);
  const file = path.join(folder, JOURNAL_FILE);
  const synced = (await readFile(file)).byteLength;
  await written(folder, ["two", "three".repeat(200), "four"]);
  const bytes = await readFile(file);
  const holed = Buffer.from(bytes).fill(0, synced, 1024);
  assert.ok(synced < 1024 && bytes.byteLength > 1024);
  const { records, tail } = interpretJournal(holed);
  assert.deepEqual([records.length, tail.kind], [1, "torn"]);
  await writeFile(file, holed);
  await written(folder, ["five"]);
  const reading = await read(folder);
  assert.deepEqual(namesOf(reading), ["one", "journal-torn", "five"]);
  const kept = await readFile(path.join(folder, String(reading.records[1]?.facts["keptAs"])));
  assert.deepEqual(kept, holed.subarray(synced));
  // Zeros where no disk would leave them were put there.
  for (const to of [synced + 1, 1023]) {
    assert.equal(interpretJournal(Buffer.from(bytes).fill(0, synced, to)).tail.kind, "changed");
  }
});

test("a sector lost among records of other times is no torn tail: the line is named, and nothing behind it is told as a crash", () => {
  const lines = [encodeHeader({ previous: FIRST_HASH, at: "2026-11-22T11:00:00.000Z" })];
  let head = FIRST_HASH;
  for (let number = 1; number <= 40; number += 1) {
    const at = (Date.UTC(2026, 10, 22) + number * 3_600_000) as Instant;
    const made = encodeRecord({ epoch: 1, kind: "note", name: "x", facts: { n: "y".repeat(150) }, number, at }, head);
    lines.push(made.line);
    head = made.record.hash;
  }
  const bytes = Buffer.concat(lines);
  for (const sector of [2, 7, 20]) {
    const { records, tail } = interpretJournal(Buffer.from(bytes).fill(0, sector * 512, (sector + 1) * 512));
    assert.deepEqual(tail, { kind: "changed", line: records.length + 2 });
    assert.ok(records.length > 0 && records.length < 40);
  }
});

test("a torn tail that is longer than what is written next leaves nothing of itself behind", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  await written(folder, ["one"]);
  await appendFile(path.join(folder, JOURNAL_FILE), "x".repeat(50_000));
  await written(folder, ["two"]);
  const reading = await read(folder);
  assert.deepEqual([namesOf(reading), reading.tail.kind], [["one", "journal-torn", "two"], "whole"]);
});

test("a journal in which any byte was changed, or a line taken out or put in, is found out", async () => {
  await using temporary = await temporaryFolder("journal");
  await written(temporary.folder, ["one", "two", "three"]);
  const bytes = await readFile(path.join(temporary.folder, JOURNAL_FILE));
  for (let at = 0; at < bytes.byteLength - 1; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    const { tail } = interpretJournal(changed);
    // Of the first line the hash before it, the format and the version count; its time is only for people.
    const inHeader = at < bytes.indexOf(0x0a);
    if (tail.kind === "whole") assert.ok(inHeader, `byte ${at}`);
    else assert.equal(tail.kind, "changed", `byte ${at}`);
  }
  const lines = bytes.toString("utf8").trimEnd().split("\n");
  for (const without of [1, 2]) {
    const kept = lines.filter((_, index) => index !== without).join("\n");
    assert.deepEqual(interpretJournal(Buffer.from(`${kept}\n`)).tail, { kind: "changed", line: without + 1 });
  }
  const twice = [...lines.slice(0, 2), lines[1], ...lines.slice(2)].join("\n");
  assert.deepEqual(interpretJournal(Buffer.from(`${twice}\n`)).tail, { kind: "changed", line: 3 });
});

test("a journal that was changed is kept aside whole, and the next one says so and goes on", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  await written(folder, ["one", "two"]);
  const file = path.join(folder, JOURNAL_FILE);
  const changed = (await readFile(file, "utf8")).replace('"one"', '"ome"');
  await writeFile(file, changed);
  await written(folder, ["three"]);
  const reading = await read(folder);
  assert.deepEqual(namesOf(reading), ["journal-changed", "three"]);
  assert.equal(reading.records[0]?.facts["line"], 2);
  assert.equal(await readFile(path.join(folder, String(reading.records[0]?.facts["keptAs"])), "utf8"), changed);
  await appendFile(file, "something else\n");
  await written(folder, ["four"]);
  assert.deepEqual(namesOf(await read(folder)), ["journal-changed", "four"]);
  assert.equal((await readdir(folder)).filter((name) => name.startsWith("journal-changed-")).length, 2);
});

/** Appends entries that fill a journal, at once; returns the record of the last. */
async function fill(journal: Journal): Promise<JournalRecord> {
  const facts = { large: "x".repeat(150_000) };
  const [, last] = await Promise.all([journal.append(entry("a", facts)), journal.append(entry("b", facts))]);
  return last;
}

/** Leaves a journal in the folder that was set aside full; returns the last record of it. */
async function leaveFull(folder: string): Promise<JournalRecord> {
  const journal = await Journal.open(tools(), folder);
  const last = await fill(journal);
  await journal.close();
  return last;
}

/** Whether the journal now goes on from the one that was set aside last. */
async function assertContinued(folder: string, hash: string): Promise<void> {
  const reading = await read(folder);
  assert.deepEqual(namesOf(reading), ["journal-continued", "next"]);
  const { from, records } = reading.records[0]?.facts ?? {};
  const before = await readJournal(systemFiles, path.join(folder, String(from)));
  assert.deepEqual([before?.head, before?.records.length], [hash, records]);
  assert.ok((await readFile(path.join(folder, JOURNAL_FILE), "utf8")).includes(`"previous":"${hash}"`));
}

test("a journal that has grown large is set aside while it is written, and the next one goes on from its head", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  const journal = await Journal.open(tools(), folder);
  const { hash } = await fill(journal);
  await journal.append(entry("next"));
  await journal.close();
  await assertContinued(folder, hash);
});

test("a journal that an earlier version let grow is set aside when it is opened", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  const { hash } = await leaveFull(folder);
  const [name = ""] = (await readdir(folder)).filter((each) => each.startsWith("journal-full-"));
  await rename(path.join(folder, name), path.join(folder, JOURNAL_FILE));
  await written(folder, ["next"]);
  await assertContinued(folder, hash);
});

test("a journal whose writer was cut off between setting it aside and going on is gone on from", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  const { hash } = await leaveFull(folder);
  await rm(path.join(folder, JOURNAL_FILE));
  await written(folder, ["next"]);
  await assertContinued(folder, hash);
});

test("a journal that cannot be set aside is written on", async () => {
  await using temporary = await temporaryFolder("journal");
  const { folder } = temporary;
  const faulty = faultyFiles(systemFiles, {
    at: ({ operation }) => operation === "rename",
    errno: "EIO",
    when: "before",
  });
  const opened = await Journal.open(tools(), folder);
  await opened.close();
  const journal = await Journal.open(tools({ files: faulty.files }), folder);
  const { hash } = await fill(journal);
  await journal.append(entry("next"));
  faulty.assertFired();
  await journal.close();
  await assertContinued(folder, hash);
});

test("entries that the disk does not take are refused when there are too many, and the others get in", async () => {
  await using temporary = await temporaryFolder("journal");
  const journal = await Journal.open(tools(), temporary.folder);
  const appended = Array.from({ length: 1_100 }, (_, index) => journal.append(entry(`${index}`)));
  const refused = (await Promise.allSettled(appended)).filter(({ status }) => status === "rejected");
  assert.ok(refused.length > 0 && refused.length < 150, `${refused.length} were refused`);
  for (const each of refused) assert.ok(each.status === "rejected" && isLifeboatError(each.reason, "journal.stuck"));
  await journal.close();
  assert.equal((await read(temporary.folder)).records.length, 1_100 - refused.length);
});

test("facts of any size end up in a record of bounded size", async () => {
  await using temporary = await temporaryFolder("journal");
  const journal = await Journal.open(tools(), temporary.folder);
  const record = await journal.append(entry("huge", { text: "y".repeat(3_000_000) }));
  assert.ok(JSON.stringify(record).length < 300_000);
  assert.equal(record.facts["bytes"], 3_000_000 + '{"text":""}'.length);
  await journal.close();
});

test("whatever effect fails, all that was acknowledged is there, and the journal can be written on", async () => {
  let reached = true;
  for (let at = 1; reached; at += 1) {
    for (const when of ["before", "after", "short"] as const) {
      await using temporary = await temporaryFolder("journal");
      const { folder } = temporary;
      const fault: FileFault = { at, errno: at % 2 === 0 ? "ENOSPC" : "EIO", when };
      const faulty = faultyFiles(systemFiles, fault);
      const acknowledged: string[] = [];
      const append = async (journal: Journal, name: string): Promise<void> => {
        await journal.append(entry(name));
        acknowledged.push(name);
      };
      const open = async (): Promise<Journal> => await Journal.open(tools({ files: faulty.files }), folder);
      const journal = await open().catch(open);
      for (const name of ["a", "b", "c"]) await append(journal, name).catch(() => undefined);
      await journal.close();
      const again = await open().catch(open);
      await append(again, "d").catch(() => undefined);
      await again.close();
      await written(folder, ["e"]);
      acknowledged.push("e");
      const reading = await read(folder);
      assert.equal(reading.tail.kind, "whole", `${at} ${when}`);
      const ours = namesOf(reading).filter((name) => name.length === 1);
      for (const name of acknowledged) assert.ok(ours.includes(name), `${name} after ${at} ${when}`);
      assert.ok(acknowledged.length >= 3, `${at} ${when}: only ${acknowledged.join()}`);
      reached = faulty.effects.length >= at;
    }
  }
});
