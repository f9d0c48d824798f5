/**
 * What it means that a JSON text in the vault does not fit its schema. Apart from header.ts, so that the threads, which know
 * only packs, need not load what checks schemas.
 */
import { z } from "zod";
import type { LifeboatError } from "../errors/error.ts";
import { FORMAT_VERSION, formatUnknown, objectDamaged } from "./header.ts";

/**
 * The error of a JSON text in the vault that its schema refused: `vault.format-unknown` when it says that it is of a later
 * version, else `vault.object-damaged` with `why`.
 */
export function refusedJson(
  name: string,
  text: string,
  refusal: { readonly why: string; readonly cause: unknown },
): LifeboatError {
  const version = versionOf(text);
  if (version !== undefined && version > FORMAT_VERSION) return formatUnknown(`object ${name}`, version);
  return objectDamaged(name, refusal.why, refusal.cause);
}

const versioned = z.looseObject({ format: z.string().startsWith("lifeboat-"), version: z.number().int() });

function versionOf(text: string): number | undefined {
  try {
    return versioned.parse(JSON.parse(text)).version;
  } catch {
    // No JSON, or none that names its version: then it is damage, which the caller reports with its own cause.
    return undefined;
  }
}

/** Whether a JSON text fits its schema, or says that it is of a later version, whose schema is not known here. */
export function isReadableJson(plain: Buffer, schema: z.ZodType): boolean {
  const text = plain.toString("utf8");
  try {
    if (schema.safeParse(JSON.parse(text)).success) return true;
  } catch {
    return false;
  }
  const version = versionOf(text);
  return version !== undefined && version > FORMAT_VERSION;
}
