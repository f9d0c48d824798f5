/**
 * A register in a file of this machine. docs/formats/epoch.md is the specification.
 *
 * Invariant: the file is compared and replaced under a kernel lock of its own, which is held for that long only.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import { writeDurable } from "../../platform/durable.ts";
import type { Files } from "../../platform/files.ts";
import type { Locks } from "../../platform/lock.ts";
import { type Epoch, storeFailed } from "../lease.ts";
import { judgeWrite, type Register, type RegisterContent } from "../register.ts";

const FORMAT = "lifeboat-record";

const fileSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(1),
  revision: z.number().int().min(1),
  epoch: z.number().int().min(1),
  value: z.unknown(),
});

/** The register of a file; its folder is there. */
export function fileRegister(
  { files, locks }: { readonly files: Files; readonly locks: Locks },
  file: string,
): Register {
  return {
    read: async () => await readRegister(files, file),
    write: async (write) => {
      const lock = locks.tryAcquire(`${file}.lock`);
      if (lock === undefined) throw storeFailed(file, "is being written by another process");
      try {
        const answer = judgeWrite(await readRegister(files, file), write);
        if (answer.kind !== "written") return answer;
        const { epoch, value } = write;
        const text = `${JSON.stringify({ format: FORMAT, version: 1, revision: answer.version, epoch, value })}\n`;
        await writeDurable(files, { file, parts: [Buffer.from(text)], over: "replace", unique: "lifeboat" });
        return answer;
      } catch (error) {
        throw isLifeboatError(error, "lease.record-damaged")
          ? error
          : storeFailed(file, "could not be replaced", error);
      } finally {
        lock.release();
      }
    },
  };
}

async function readRegister(files: Files, file: string): Promise<RegisterContent | undefined> {
  let text: string;
  try {
    text = (await files.readFile(file)).toString("utf8");
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw storeFailed(file, "could not be read", error);
  }
  try {
    const { revision, epoch, value } = fileSchema.parse(JSON.parse(text));
    return { version: revision, epoch: epoch as Epoch, value };
  } catch (cause) {
    throw damagedRegister(file, cause);
  }
}

/** The error of a register whose content is none. */
export function damagedRegister(name: string, cause: unknown): LifeboatError {
  return new LifeboatError("lease.record-damaged", {
    message: `${name} cannot be read: ${errorText(cause)}`,
    remedy: "Find its last content in the journal, and put that back (docs/formats/epoch.md).",
    cause,
  });
}
