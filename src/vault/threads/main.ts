/** A thread that opens, compresses or compares, whichever it was started for. */
import type { KeyObject } from "node:crypto";
import { isLifeboatError } from "../../errors/error.ts";
import { systemFiles } from "../../platform/files.ts";
import { answerQuestions } from "../../platform/thread.ts";
import type { CompressionChoice } from "../codec.ts";
import {
  type CompareAnswer,
  type CompareBatch,
  Comparer,
  type CompareSlot,
  type FilePartFound,
  slotOf,
} from "./comparer.ts";
import { type Opened, Opener, type SealedBatch } from "./opener.ts";
import { type FrameLengths, Packer, type PlainBatch } from "./packer.ts";

/** What a thread is for, and the memory that it shares with whoever started it. */
export type Task =
  | {
      readonly kind: "open";
      readonly slots: readonly { readonly input: SharedArrayBuffer; readonly output: SharedArrayBuffer }[];
    }
  | {
      readonly kind: "pack";
      readonly choice: CompressionChoice;
      readonly plain: SharedArrayBuffer;
      readonly outputs: readonly SharedArrayBuffer[];
    }
  | {
      readonly kind: "compare";
      readonly slots: readonly CompareSlot<SharedArrayBuffer>[];
      readonly key: KeyObject;
    };

answerQuestions((task: Task): ((batch: unknown) => Opened | FrameLengths | CompareAnswer) => {
  if (task.kind === "open") {
    const slots = task.slots.map(({ input, output }) => ({ input: Buffer.from(input), output: Buffer.from(output) }));
    const opener = new Opener(slots);
    return (batch) => opener.open(batch as SealedBatch);
  }
  if (task.kind === "compare") {
    const comparer = new Comparer(systemFiles, task.slots.map(slotOf), task.key);
    return (batch) => answerOf(() => comparer.compare(batch as CompareBatch));
  }
  const memory = { plain: Buffer.from(task.plain), outputs: task.outputs.map((output) => Buffer.from(output)) };
  const packer = new Packer(task.choice, memory);
  return (batch) => packer.pack(batch as PlainBatch);
});

/** An error that a person can act on does not end the thread. */
function answerOf(compare: () => readonly FilePartFound[]): CompareAnswer {
  try {
    return { kind: "found", found: compare() };
  } catch (error) {
    if (!isLifeboatError(error)) throw error;
    return { kind: "failed", code: error.code, message: error.message, remedy: error.remedy };
  }
}
