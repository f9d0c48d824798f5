/** One command at a time changes a stack. */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import type { StackDescription } from "./stack.ts";
import type { StackTools } from "./tools.ts";

/** Does `work` while no other command changes the stack, where there is one. Rejects with `stack.busy` where one does. */
export async function exclusively<T>(
  { files, locks }: Pick<StackTools, "files" | "locks">,
  { name, place }: StackDescription,
  work: () => Promise<T>,
): Promise<T> {
  if ((await files.stat(place.folder)) === undefined) return await work();
  const file = path.join(place.folder, "lock");
  const lock = locks.tryAcquire(file);
  if (lock === undefined) {
    throw new LifeboatError("stack.busy", {
      message: `another command changes stack ${name} at this moment`,
      remedy: `Wait until it has ended, or end it with Ctrl-C, and run this one again. Which process it is: fuser ${file}.`,
      retryable: true,
    });
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}
