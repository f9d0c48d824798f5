/** A thread that opens or compresses chunks, whichever it was started for. */
import { answerQuestions } from "../../platform/thread.ts";
import type { CompressionChoice } from "../codec.ts";
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
    };

answerQuestions((task: Task): ((batch: unknown) => Opened | FrameLengths) => {
  if (task.kind === "open") {
    const slots = task.slots.map(({ input, output }) => ({ input: Buffer.from(input), output: Buffer.from(output) }));
    const opener = new Opener(slots);
    return (batch) => opener.open(batch as SealedBatch);
  }
  const memory = { plain: Buffer.from(task.plain), outputs: task.outputs.map((output) => Buffer.from(output)) };
  const packer = new Packer(task.choice, memory);
  return (batch) => packer.pack(batch as PlainBatch);
});
