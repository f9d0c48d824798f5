import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { faultyFiles } from "../platform/faulty-files.ts";
import { type Files, fileErrorOf, systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { type Lsn, lsnAdd, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { addressUnder, type MandateTerms, nameInReign, readMandate, UNGOVERNED } from "./mandate.ts";
import { type Grant, Mandates } from "./mandates.ts";

const DB = { host: "127.0.0.1", port: 5432 };
const REPLICA = { host: "127.0.0.1", port: 5433 };

const TWO = 2 as Timeline;
const FROM = 0x5000000n as Lsn;

function terms(reign: number, more: Partial<MandateTerms> = {}): MandateTerms {
  return { reign, upstream: DB, systemId: undefined, timeline: undefined, switchLsn: undefined, ...more };
}

function lastingGrant(epoch: number, reign: number, contiguousWith: Lsn | undefined = FROM): Grant {
  return { epoch, reign, duration: undefined, contiguousWith };
}

/** Follows, and is permitted to confirm until further notice. */
async function followed(mandates: Mandates, of: MandateTerms): Promise<void> {
  await mandates.follow(of);
  await mandates.grant(lastingGrant(of.reign, of.reign), FROM);
}

function open(folder: string, more: { readonly files?: Files; readonly clock?: Clock } = {}): Promise<Mandates> {
  return Mandates.open({ files: systemFiles, clock: systemClock, random: systemRandom, ...more }, folder);
}

function failsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => isLifeboatError(error, code);
}

test("a spool that nobody governs has the mandate of reign 0, for the configured server, under the plain name", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  assert.equal(mandates.record, UNGOVERNED);
  const mandate = await mandates.next({});
  assert.equal(mandate.mayConfirm(undefined), true);
  const configured = { host: "db", port: 1, user: "u", applicationName: "lifeboat_vault", connectTimeoutMs: 1 };
  assert.deepEqual(addressUnder(mandate, configured), configured);
});

test("a mandate is for its server, under a name that carries its reign", () => {
  const configured = { host: "db", port: 1, user: "u", applicationName: "lifeboat_vault", connectTimeoutMs: 1 };
  const address = addressUnder(terms(8, { upstream: REPLICA }), configured);
  assert.deepEqual(address, { ...configured, ...REPLICA, applicationName: "lifeboat_vault_e8" });
});

test("a name that PostgreSQL would cut is refused", () => {
  assert.throws(() => nameInReign("x".repeat(60), 12));
});

test("a withdrawal ends the mandate at once, and is what a receiver that starts afterwards finds", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  const mandate = await mandates.next({});
  const recorded = mandates.withdraw(1);
  assert.equal(mandate.mayConfirm(FROM), false, "before anything is on the disk");
  assert.equal(mandate.ended.aborted, true);
  await recorded;
  const later = await open(folder.folder);
  assert.equal(later.current, undefined);
  assert.deepEqual(later.record, { kind: "withdrawn", epoch: 1, contiguousWith: undefined });
  await mandates.withdraw(1);
});

test("decisions of earlier epochs come too late, and a reign has one server", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  await mandates.withdraw(3);
  assert.throws(() => mandates.withdraw(2), failsWith("wal.epoch-stale"));
  await assert.rejects(mandates.follow(terms(2)), failsWith("wal.epoch-stale"));
  await followed(mandates, terms(3, { upstream: REPLICA }));
  const mandate = mandates.current;
  await mandates.follow(terms(3, { upstream: REPLICA }));
  assert.equal(mandates.current, mandate, "the same again changes nothing");
  await assert.rejects(mandates.follow(terms(3, { upstream: DB })), failsWith("wal.epoch-stale"));
  await assert.rejects(mandates.follow(terms(3, { upstream: REPLICA, timeline: TWO })), failsWith("wal.epoch-stale"));
  assert.throws(() => mandates.withdraw(3), failsWith("wal.epoch-stale"));
  assert.equal(mandate?.mayConfirm(FROM), true, "what was refused changes nothing");
  await mandates.follow(terms(4));
  assert.equal(mandate?.mayConfirm(FROM), false);
  assert.deepEqual((await open(folder.folder)).current?.upstream, DB);
});

test("all that a mandate says is there after a restart", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  const asked = terms(7, { systemId: "7000" as SystemId, timeline: TWO, switchLsn: FROM });
  await mandates.follow(asked);
  const { record } = await open(folder.folder);
  assert.deepEqual(record, { kind: "following", epoch: 7, contiguousWith: undefined, ...asked, lasting: false });
});

test("a waiting receiver goes on when there is a mandate, and stops waiting when told to", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  await mandates.withdraw(1);
  const stop = new AbortController();
  const stopped = mandates.next({ signal: stop.signal });
  stop.abort();
  await assert.rejects(stopped, failsWith("platform.aborted"));
  const waiting = mandates.next({});
  await mandates.follow(terms(1, { timeline: TWO }));
  assert.equal((await waiting).timeline, 2);
});

test("whatever fails while a withdrawal gets onto the disk, nothing is confirmed in this process, and it can be repeated", async () => {
  // Behind the look at the record, and at the room that is kept for the next one.
  for (let at = 3; ; at += 1) {
    await using folder = await temporaryFolder("mandate");
    // Room is kept by then.
    await open(folder.folder);
    const faulty = faultyFiles(systemFiles, { at, errno: "EIO", when: "before" });
    const mandates = await open(folder.folder, { files: faulty.files });
    const mandate = await mandates.next({});
    const failure = await mandates.withdraw(2).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.equal(mandate.mayConfirm(FROM), false);
    assert.equal(mandates.current, undefined);
    if (failure === undefined) return assert.ok(at > 6, "the write has steps that can fail");
    await mandates.withdraw(2);
    assert.deepEqual(await readMandate(systemFiles, folder.folder), {
      kind: "withdrawn",
      epoch: 2,
      contiguousWith: undefined,
    });
  }
});

test("a withdrawal gets onto a full disk, for which room was kept, and is kept again", async () => {
  await using folder = await temporaryFolder("mandate");
  const reserve = path.join(folder.folder, "reserve");
  const disk = { full: false };
  const files: Files = {
    ...systemFiles,
    open: async (file, mode, permissions) => {
      const room = mode === "read" || !disk.full || (await systemFiles.stat(reserve)) === undefined;
      if (room) return await systemFiles.open(file, mode, permissions);
      throw fileErrorOf("write", file, "ENOSPC");
    },
  };
  const mandates = await open(folder.folder, { files });
  disk.full = true;
  await mandates.withdraw(2);
  assert.equal((await readMandate(systemFiles, folder.folder)).epoch, 2);
  assert.equal(await systemFiles.stat(reserve), undefined);
  disk.full = false;
  await mandates.follow(terms(2));
  assert.ok(((await systemFiles.stat(reserve))?.sizeBytes ?? 0) > 0);
});

test("a mandate that does not get onto the disk is none", async () => {
  await using folder = await temporaryFolder("mandate");
  const disk = { down: false };
  const files: Files = {
    ...systemFiles,
    open: (...given) => (disk.down ? Promise.reject(new Error("planned")) : systemFiles.open(...given)),
  };
  const mandates = await open(folder.folder, { files });
  await mandates.withdraw(1);
  disk.down = true;
  await assert.rejects(mandates.follow(terms(1)));
  assert.equal(mandates.current, undefined);
  disk.down = false;
  await followed(mandates, terms(1));
  assert.equal((await mandates.next({})).mayConfirm(FROM), true);
});

test("a record that is not one stops the receiver", async () => {
  await using folder = await temporaryFolder("mandate");
  await writeFile(path.join(folder.folder, "mandate.json"), '{"format":"lifeboat-mandate","version":1}');
  await assert.rejects(open(folder.folder), failsWith("wal.spool-damaged"));
});

test("a grant permits for as long as it says since its ticket was given out, by our own clock", async () => {
  await using folder = await temporaryFolder("mandate");
  let now = 1_000;
  const clock = { ...systemClock, monotonic: () => now as Monotonic };
  const mandates = await open(folder.folder, { clock });
  const grant = (ticket: string): Promise<void> =>
    mandates.grant({ epoch: 1, reign: 1, duration: { ms: 500, ticket }, contiguousWith: FROM }, FROM);
  await mandates.follow(terms(1));
  const confirms = (): boolean => mandates.current?.mayConfirm(FROM) === true;
  assert.equal(confirms(), false, "nothing is granted yet");
  const first = mandates.ticket;
  now += 200;
  await grant(first);
  assert.equal(confirms(), true);
  now += 299;
  assert.equal(confirms(), true);
  now += 1;
  assert.equal(confirms(), false, "the time under way is not given twice");
  await grant(first);
  assert.equal(confirms(), false, "an old ticket permits nothing");
  const { ticket } = mandates;
  await grant(ticket);
  assert.equal(confirms(), true);
  const restarted = await open(folder.folder, { clock });
  await restarted.grant({ epoch: 1, reign: 1, duration: { ms: 500, ticket }, contiguousWith: FROM }, FROM);
  assert.equal(restarted.current?.mayConfirm(FROM), false, "neither grant nor ticket outlive their process");
});

test("a lasting grant permits after a restart too, until the mandate is withdrawn", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  await mandates.follow(terms(1));
  await mandates.grant(lastingGrant(1, 1), FROM);
  const restarted = await open(folder.folder);
  assert.equal(restarted.current?.mayConfirm(FROM), true);
  await restarted.withdraw(2);
  await assert.rejects(restarted.grant(lastingGrant(2, 1), FROM), failsWith("wal.not-following"));
  assert.equal(restarted.current, undefined);
});

test("a grant of a later epoch is remembered, one of an earlier epoch or for another reign grants nothing", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  await mandates.follow(terms(2));
  await assert.rejects(mandates.grant(lastingGrant(2, 1), FROM), failsWith("wal.not-following"));
  await mandates.grant(lastingGrant(5, 2), FROM);
  assert.equal((await readMandate(systemFiles, folder.folder)).epoch, 5);
  assert.throws(() => mandates.withdraw(4), failsWith("wal.epoch-stale"));
  await assert.rejects(mandates.grant(lastingGrant(4, 2), FROM), failsWith("wal.epoch-stale"));
  await assert.rejects(mandates.follow(terms(4)), failsWith("wal.epoch-stale"));
});

test("what is held must begin at or before the end of the replica that would need it", async () => {
  await using folder = await temporaryFolder("mandate");
  const mandates = await open(folder.folder);
  const later = lsnAdd(FROM, 1);
  await mandates.follow(terms(1));
  await mandates.grant({ ...lastingGrant(1, 1), contiguousWith: undefined }, FROM);
  const current = await mandates.next({});
  assert.equal(current.mayConfirm(FROM), false, "nothing was compared yet");
  await mandates.grant(lastingGrant(1, 1, FROM), FROM);
  assert.equal(current.mayConfirm(FROM), true);
  assert.equal(current.mayConfirm(later), false, "a gap");
  assert.equal(current.mayConfirm(undefined), false, "not to know is not to have");
  await mandates.grant({ ...lastingGrant(1, 1), contiguousWith: undefined }, FROM);
  assert.equal(current.mayConfirm(FROM), true, "where nothing is known, what was compared last goes on");
  assert.equal(current.mayConfirm(later), false);
  const restarted = await open(folder.folder);
  assert.equal(restarted.current?.mayConfirm(FROM), true);
  assert.equal(restarted.current?.mayConfirm(later), false);
  await mandates.grant(lastingGrant(1, 1, later), later);
  assert.equal(current.mayConfirm(later), true, "the replica has come nearer");
  await mandates.withdraw(2);
  await mandates.follow(terms(2));
  await mandates.grant({ ...lastingGrant(2, 2), contiguousWith: undefined }, later);
  assert.equal(mandates.current?.mayConfirm(later), true, "also in the next reign");
  await mandates.grant(lastingGrant(2, 2, FROM), later);
  assert.equal(mandates.current?.mayConfirm(later), false, "another replica, which is farther behind");
  assert.equal((await open(folder.folder)).current?.mayConfirm(later), false);
});
