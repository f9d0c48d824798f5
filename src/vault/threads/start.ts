/**
 * Starts the threads of this folder.
 */
import { Thread } from "../../platform/thread.ts";
import type { Task } from "./main.ts";

/** As many as the smallest machine has cores: whoever takes their work needs its share of them too. */
export const THREADS = 2;

/** The bundle has no types, the sources have. */
const PROGRAM = new URL(import.meta.url.endsWith(".ts") ? "./main.ts" : "./chunk-thread.js", import.meta.url);

/** Starts the threads for one task. Whoever starts them stops them. */
export function startThreads<Question, Answer>(task: Task): readonly Thread<Question, Answer>[] {
  return Array.from({ length: THREADS }, () => new Thread<Question, Answer>(PROGRAM, task));
}
