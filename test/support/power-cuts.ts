/**
 * Cuts the power at every effect on the disk, and shows of each sync that something promised is lost without it.
 *
 * Nouns: a *story* is what happens before the power goes, with what it promises to others, and what must hold when the
 * power is back. A *loss* picks which of the changes that no sync made stable are lost.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { faultyFiles } from "../../src/platform/faulty-files.ts";
import type { Files } from "../../src/platform/files.ts";
import type { Locks } from "../../src/platform/lock.ts";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { Prng } from "../../src/platform/prng.ts";
import { type SyncCall, syncCallsOf } from "../../tools/tidy/syncs.ts";
import { readTree } from "../../tools/tidy/tree.ts";
import { repetitions, testSeed } from "./effort.ts";

/** What happens on one disk. Made anew for every cut. */
export type Story = {
  /** Made and on stable storage before anything else; the power is not cut in it. */
  readonly before?: (files: Files) => Promise<void>;
  /** What is cut. Rejects as it likes once the power is gone. */
  readonly live: (files: Files) => Promise<void>;
  /** Throws when something that was promised is not there. Also goes on with what it finds. */
  readonly after: (files: Files) => Promise<void>;
};

/** Locks that are free: a power cut ends every holder. */
export const FREE_LOCKS: Locks = { tryAcquire: () => ({ release: () => undefined }) };

const root = path.resolve(import.meta.dirname, "../..");
/** Seeds of random losses at each effect. */
const RANDOM_LOSSES = 1;
/** The same without a sync: some losses show only in one combination of many. */
const LOSSES_WITHOUT = 4;
const NEAR_EFFECTS = 12;
/** The end of a story is where most is promised: so many of its last effects are all cut, whatever the stride. */
const LAST_EFFECTS = 20;
/** A stack that reaches through the wrappers of the port to whoever asked for a sync. */
const STACK_FRAMES = 40;
/** Effects that change nothing: a cut before one is a cut before the next that does. */
const READS: ReadonlySet<string> = new Set(["look at", "list", "read", "read link", "ask the free space of"]);

/**
 * Tests a story: what it promises survives a cut at every effect, and does not without any one of `syncs` (their labels).
 * With a stride only every so many-th effect is cut, but in the long run.
 */
export function testPowerCuts(name: string, makeStory: () => Story, syncs: readonly string[], usualStride = 1): void {
  const stride = Math.ceil(usualStride / repetitions(1));
  test(`${name}: what was promised survives a power cut at each effect in turn`, async () => {
    const cuts = await cutsOf(makeStory, stride);
    assert.ok(cuts.length > 2, `only ${cuts.length} effects are cut`);
    for (const at of cuts) {
      for (const loss of lossesOf(at)) {
        const { where, failure } = await cut(makeStory, { at, loss, skips: () => false });
        if (failure !== undefined) throw new Error(where, { cause: failure });
      }
    }
  });
  const calls = syncCallsOf(readTree(root));
  for (const label of syncs) {
    test(`${name}: without ${label} something promised is lost`, async () => {
      const call = calls.find((each) => each.label === label);
      assert.ok(call !== undefined, `${label} is no sync of the sources`);
      const skips = (): boolean => isCalledBy(call);
      const from = await firstSkip(makeStory, skips);
      assert.ok(from !== undefined, "the story does not come to this sync");
      // It cannot be missed before it would have been done; most likely at the end, where most is promised, or right behind it.
      const cuts = (await cutsOf(makeStory, 1)).filter((each) => each > from);
      const near = [...cuts.slice(-1), ...cuts.slice(0, NEAR_EFFECTS)];
      for (const some of [near, cuts]) {
        for (let loss = 0; loss <= LOSSES_WITHOUT; loss += 1) {
          for (const at of some) {
            const { failure } = await cut(makeStory, { at, loss: lossesOf(at, LOSSES_WITHOUT)[loss] ?? NONE, skips });
            if (failure !== undefined) return;
          }
        }
      }
      assert.fail("nothing is lost without it");
    });
  }
}

/** The number of the effect that is left out first; undefined when none is. */
async function firstSkip(makeStory: () => Story, skips: () => boolean): Promise<number | undefined> {
  const story = makeStory();
  const syncs: number[] = [];
  let effects = (): number | undefined => undefined;
  const memory = memoryFiles(() => {
    const at = effects();
    if (at !== undefined && skips()) syncs.push(at);
    return false;
  });
  await story.before?.(memory.files);
  const quiet = faultyFiles(memory.files);
  effects = () => quiet.effects.length;
  await story.live(quiet.files);
  return syncs[0];
}

/** The effects at which a story can be cut, its end with them. */
async function cutsOf(makeStory: () => Story, stride: number): Promise<readonly number[]> {
  const story = makeStory();
  const memory = memoryFiles();
  await story.before?.(memory.files);
  const quiet = faultyFiles(memory.files);
  await story.live(quiet.files);
  const changing = quiet.effects.flatMap(({ operation }, index) => (READS.has(operation) ? [] : [index + 1]));
  const cuts = [...changing, quiet.effects.length + 1];
  return cuts.filter((_, index) => index % stride === 0 || index >= cuts.length - LAST_EFFECTS);
}

type Loss = () => boolean;
const NONE: Loss = () => false;

async function cut(
  makeStory: () => Story,
  how: { readonly at: number; readonly loss: Loss; readonly skips: () => boolean },
): Promise<{ readonly where: string; readonly failure: unknown }> {
  const story = makeStory();
  let armed = false;
  const memory = memoryFiles(() => armed && how.skips());
  await story.before?.(memory.files);
  await memory.files.syncFileSystem("/");
  armed = true;
  const faulty = faultyFiles(memory.files, { at: how.at, errno: "EIO", when: "before", forever: true });
  let ended: unknown;
  await story.live(faulty.files).catch((error: unknown) => {
    ended = error;
  });
  armed = false;
  const effect = faulty.effects[how.at - 1];
  const where = `cut at ${how.at}: ${effect === undefined ? "the end" : `${effect.operation} ${effect.path}`}`;
  try {
    if (effect === undefined && ended !== undefined) throw ended;
    memory.cutPower(how.loss);
    await story.after(memory.files);
    return { where, failure: undefined };
  } catch (failure) {
    return { where, failure };
  }
}

/** Which pending changes are kept: none, some at random; in the long run also all. */
function lossesOf(at: number, count = repetitions(RANDOM_LOSSES)): readonly Loss[] {
  const random = Array.from({ length: count }, (_, stream): Loss => {
    const chance = new Prng(testSeed() + at, stream);
    return () => chance.below(2) === 0;
  });
  return [NONE, ...random, ...(repetitions(1) > 1 ? [() => true] : [])];
}

/** Whether the sync that is being carried out was asked for by this call. */
function isCalledBy(call: SyncCall): boolean {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_FRAMES;
  const { stack = "" } = new Error("where am I");
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n")) {
    const match = /\/(src\/[^:]+):(\d+):\d+\)?$/.exec(line);
    if (match === null || /^src\/platform\/(memory|faulty|owned)-files\.ts$/.test(match[1] ?? "")) continue;
    const lineNumber = Number(match[2]);
    return match[1] === call.file && lineNumber >= call.firstLine && lineNumber <= call.lastLine;
  }
  return false;
}
