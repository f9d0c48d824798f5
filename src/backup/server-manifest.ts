/**
 * Holds the server's own list of the files it sent against what arrived.
 *
 * Source: PostgreSQL manual, "Backup Manifest Format".
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { LifeboatError } from "../errors/error.ts";

const fileSchema = z.union([
  z.looseObject({ Path: z.string(), Size: z.number() }),
  z.looseObject({ "Encoded-Path": z.string().regex(/^(?:[0-9a-fA-F]{2})+$/), Size: z.number() }),
]);
const manifestSchema = z.looseObject({
  "PostgreSQL-Backup-Manifest-Version": z.number(),
  "System-Identifier": z.unknown().optional(),
  Files: z.array(fileSchema),
  "Manifest-Checksum": z.string(),
});

/** How many paths an error names. */
const NAMED_MAX = 5;

/**
 * Throws `backup.manifest-mismatch` unless the manifest is whole and names exactly the files that arrived, with their
 * sizes. `arrived` holds bytes by path.
 */
export function checkServerManifest(json: Buffer, arrived: ReadonlyMap<string, number>): void {
  const manifest = parse(json);
  const differences: string[] = [];
  const named = new Set<string>();
  for (const file of manifest.Files) {
    const path = "Path" in file ? String(file.Path) : Buffer.from(file["Encoded-Path"], "hex").toString("utf8");
    named.add(path);
    const sizeBytes = arrived.get(path);
    if (sizeBytes !== file.Size) differences.push(`${path}: ${file.Size} bytes sent, ${sizeBytes ?? "none"} arrived`);
  }
  for (const path of arrived.keys()) {
    if (!named.has(path)) differences.push(`${path}: arrived, and the server's manifest does not name it`);
  }
  if (differences.length > 0) {
    throw mismatch(`${differences.length} files differ: ${differences.slice(0, NAMED_MAX).join("; ")}`);
  }
}

function parse(json: Buffer): z.output<typeof manifestSchema> {
  const text = json.toString("utf8");
  // The checksum covers everything up to the line that carries it.
  const at = text.lastIndexOf('"Manifest-Checksum"');
  const expected = createHash("sha256")
    .update(text.slice(0, Math.max(0, at)))
    .digest("hex");
  let manifest: z.output<typeof manifestSchema>;
  try {
    manifest = manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw mismatch("it cannot be read", cause);
  }
  if (manifest["Manifest-Checksum"] !== expected) throw mismatch("its own checksum does not fit");
  return manifest;
}

function mismatch(why: string, cause?: unknown): LifeboatError {
  return new LifeboatError("backup.manifest-mismatch", {
    message: `the server's backup manifest does not fit what it sent: ${why}`,
    remedy: "Take the backup again; if this comes back, look at the network between here and the server.",
    cause,
  });
}
