/** A thread that opens, compresses and compares: one task after another, or several in turns. */
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

/** What a thread is to do, and the memory that it shares with whoever asks it to. */
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

/** What a thread is told. A task is begun before it is asked, and asked no more when it was ended. */
export type ThreadMessage =
  | { readonly kind: "begin"; readonly number: number; readonly task: Task }
  | { readonly kind: "question"; readonly number: number; readonly question: unknown }
  | { readonly kind: "end"; readonly number: number };

type Begun = {
  readonly answer: (question: unknown) => Opened | FrameLengths | CompareAnswer;
  readonly close: () => void;
};

answerQuestions(() => {
  const begun = new Map<number, Begun>();
  return (message: ThreadMessage) => {
    const { number } = message;
    switch (message.kind) {
      case "begin":
        begun.set(number, begin(message.task));
        return undefined;
      case "question":
        return begun.get(number)?.answer(message.question);
      case "end":
        begun.get(number)?.close();
        begun.delete(number);
        return undefined;
    }
  };
});

function begin(task: Task): Begun {
  if (task.kind === "open") {
    const slots = task.slots.map(({ input, output }) => ({ input: Buffer.from(input), output: Buffer.from(output) }));
    const opener = new Opener(slots);
    return { answer: (batch) => opener.open(batch as SealedBatch), close: () => opener.close() };
  }
  if (task.kind === "compare") {
    const comparer = new Comparer(systemFiles, task.slots.map(slotOf), task.key);
    const answer = (batch: unknown): CompareAnswer => answerOf(() => comparer.compare(batch as CompareBatch));
    return { answer, close: () => undefined };
  }
  const memory = { plain: Buffer.from(task.plain), outputs: task.outputs.map((output) => Buffer.from(output)) };
  const packer = new Packer(task.choice, memory);
  return { answer: (batch) => packer.pack(batch as PlainBatch), close: () => packer.close() };
}

/** An error that a person can act on does not end the thread. */
function answerOf(compare: () => readonly FilePartFound[]): CompareAnswer {
  try {
    return { kind: "found", found: compare() };
  } catch (error) {
    if (!isLifeboatError(error)) throw error;
    return { kind: "failed", code: error.code, message: error.message, remedy: error.remedy };
  }
}
