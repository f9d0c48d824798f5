/**
 * The mark that nobody may have seen the recovery key of a stack's vault yet. docs/formats/stack-marks.md is the specification.
 *
 * Invariant: it is there before there is a recovery key, and goes when one was written out with the result of a command: a start that is
 * cut off anywhere leaves the mark, and the next one makes another key and shows that. No key is ever written to a file.
 */
import { writeDurable } from "../platform/durable.ts";
import type { StackPlace } from "./stack.ts";
import type { CallOptions, StackTools } from "./tools.ts";

type Tools = Pick<StackTools, "files" | "random">;

/** Marks durably that a recovery key is still to be shown. Repeatable. */
export async function oweRecoveryKey(
  { files, random }: Tools,
  { recoveryKeyMark }: StackPlace,
  options: CallOptions,
): Promise<void> {
  const parts = [Buffer.from(`${JSON.stringify({ format: "lifeboat-stack-recovery-key-unshown", version: 1 })}\n`)];
  const unique = random(8).toString("hex");
  await writeDurable(files, { file: recoveryKeyMark, parts, over: "replace", permissions: 0o644, unique, ...options });
}

/** Whether one is still to be shown. */
export async function isRecoveryKeyOwed({ files }: Pick<Tools, "files">, place: StackPlace): Promise<boolean> {
  return (await files.stat(place.recoveryKeyMark)) !== undefined;
}

/** Takes the mark back. Where that does not survive a power cut, another key is shown, which harms nobody. Repeatable. */
export async function recoveryKeyShown({ files }: Pick<Tools, "files">, place: StackPlace): Promise<void> {
  await files.remove(place.recoveryKeyMark);
}
