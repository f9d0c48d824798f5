/**
 * The mode that somebody chose, kept beside what it is about: it wins over the configuration from then on.
 *
 * Written before the server is told: cut in between, the server disagrees with the description, which is an alarm.
 * Described in docs/formats/stack-durability.md.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import type { DescribedDurability } from "./facts.ts";
import { DURABILITY_MODES, type DurabilityMode } from "./names.ts";

const recordSchema = z.strictObject({
  format: z.literal("lifeboat-durability"),
  version: z.literal(1),
  mode: z.enum(DURABILITY_MODES),
  chosenAt: z.iso.datetime(),
});

/** What was chosen, else what is configured. Throws `durability.record-damaged`. */
export async function describedDurability(
  files: Files,
  file: string,
  configured: DurabilityMode,
): Promise<DescribedDurability> {
  if ((await files.stat(file)) === undefined) return { mode: configured, by: "configuration" };
  try {
    const { mode, chosenAt } = recordSchema.parse(JSON.parse((await files.readFile(file)).toString("utf8")));
    return { mode, by: "choice", at: Date.parse(chosenAt) as Instant };
  } catch (cause) {
    if (isLifeboatError(cause)) throw cause;
    throw new LifeboatError("durability.record-damaged", {
      message: `${file} does not say which durability was chosen: ${errorText(cause)}`,
      remedy: "Remove this file, then choose again: lifeboat durability async, quorum or strict.",
      cause,
    });
  }
}

/** Records a choice, durably. */
export async function recordDurability(
  tools: { readonly files: Files; readonly random: RandomSource },
  choice: { readonly file: string; readonly mode: DurabilityMode; readonly at: Instant },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const chosenAt = formatInstant(choice.at);
  const text = `${JSON.stringify({ format: "lifeboat-durability", version: 1, mode: choice.mode, chosenAt })}\n`;
  const unique = tools.random(8).toString("hex");
  const parts = [Buffer.from(text)];
  await writeDurable(tools.files, {
    file: choice.file,
    parts,
    over: "replace",
    permissions: 0o644,
    unique,
    signal: options.signal,
  });
}
