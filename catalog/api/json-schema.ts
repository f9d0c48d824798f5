/** JSON Schemas of what zod describes: for the document that callers read, and for what writes answers. Pure. */
import { z } from "zod";

type Json = { readonly [key: string]: unknown };

/** As OpenAPI 3.1 has it; named schemas are put into `components`. */
export function documentSchema(schema: z.ZodType, io: "input" | "output", components: Map<string, Json>): Json {
  const {
    $defs,
    $schema: _,
    ...rest
  } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json & { $defs?: Record<string, Json> };
  for (const [name, definition] of Object.entries($defs ?? {})) components.set(name, renamed(definition) as Json);
  return renamed(rest) as Json;
}

function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === "$ref" && typeof inner === "string" ? inner.replace("#/$defs/", "#/components/schemas/") : renamed(inner),
    ]),
  );
}

/**
 * As fast-json-stringify compiles it best: named schemas in their places, and "or null" as `nullable`, which is a look at the
 * value where `anyOf` would be a validation of it.
 */
export function writerSchema(schema: z.ZodType): Json {
  const {
    $defs,
    $schema: _,
    ...rest
  } = z.toJSONSchema(schema, { io: "output", unrepresentable: "any" }) as Json & { $defs?: Record<string, Json> };
  return simplified(rest, $defs ?? {}) as Json;
}

/** Numbers are checked on their way in; what is left here is how to write them. */
const LEFT_OUT = new Set([
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "enum",
  "description",
  "id",
  "pattern",
  "minLength",
  "maxLength",
  "format",
]);

function simplified(value: unknown, defs: Readonly<Record<string, Json>>, inProperties = false): unknown {
  if (Array.isArray(value)) return value.map((each) => simplified(each, defs));
  if (typeof value !== "object" || value === null) return value;
  const node: Readonly<Record<string, unknown>> = { ...value };
  if (!inProperties && typeof node["$ref"] === "string") {
    return simplified(defs[node["$ref"].replace("#/$defs/", "")] ?? {}, defs);
  }
  const choices: readonly unknown[] = !inProperties && Array.isArray(node["anyOf"]) ? node["anyOf"] : [];
  const [one, ...others] = choices.filter((choice) => !isNull(choice));
  if (choices.length === 2 && others.length === 0 && typeof one === "object") {
    return { ...(simplified(one, defs) as object), nullable: true };
  }
  const entries = Object.entries(node).filter(([key]) => inProperties || !LEFT_OUT.has(key));
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, simplified(inner, defs, !inProperties && key === "properties")]),
  );
}

function isNull(choice: unknown): boolean {
  return typeof choice === "object" && choice !== null && "type" in choice && choice.type === "null";
}
