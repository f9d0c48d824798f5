/**
 * Who has a pooler paused: a file beside it, for the watchdog. docs/formats/pooler-hold.md is the specification.
 *
 * Invariants: it is there before the pause and gone after the resume; every renewal changes it. It holds no deadline, since
 * clocks differ and jump: the watchdog counts by its own monotonic clock from when it saw the file change last, so it never
 * counts less than the holder was promised. It is replaced without a sync: when the machine dies the pause dies with it, and a
 * sync that takes seconds on a busy disk would be a hold that ran out.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import type { PoolerHold } from "./pooler.ts";

const whole = z.number().int().min(0);

const holdSchema = z.strictObject({
  format: z.literal("lifeboat-pooler-hold"),
  version: z.literal(1),
  epoch: whole,
  turn: whole,
  holdMs: whole,
  pausedAt: whole,
});

/** How the names of holds end. */
export const HOLD_ENDING = ".hold";

/** Where the hold of an instance lies. Several may read where their databases lead from one file. */
export function holdFileOf(of: { readonly name: string; readonly databasesFile: string }): string {
  return `${of.databasesFile}.${of.name.replaceAll(/[^\w.-]/g, "-")}${HOLD_ENDING}`;
}

/** Reads the hold; undefined when there is none. Rejects with `pooler.file-damaged`. */
export async function readHold(files: Files, file: string): Promise<PoolerHold | undefined> {
  try {
    const { epoch, turn, holdMs, pausedAt } = holdSchema.parse(
      JSON.parse((await files.readFile(file)).toString("utf8")),
    );
    return { epoch, turn, holdMs, pausedAt };
  } catch (cause) {
    if (isLifeboatError(cause, "platform.file-missing")) return undefined;
    if (isLifeboatError(cause)) throw cause;
    throw new LifeboatError("pooler.file-damaged", {
      message: `${file} does not say who has the pooler paused: ${errorText(cause)}`,
      remedy:
        "Look whether a controller is at work. If none is, remove the file and let clients go on: RESUME on the console.",
      cause,
    });
  }
}

/** Writes the hold. The caller holds the pooler's lock. */
export async function writeHold(
  { files, random }: { readonly files: Files; readonly random: RandomSource },
  file: string,
  hold: PoolerHold,
): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify({ format: "lifeboat-pooler-hold", version: 1, ...hold })}\n`);
  await replaceVolatile(files, { file, bytes, unique: random(8).toString("hex"), permissions: 0o600 });
}
