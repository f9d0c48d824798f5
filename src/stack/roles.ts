/** Who is what in a stack, as its controller recorded it. */
import path from "node:path";
import { z } from "zod";
import { fileRegister } from "../lease/file/file-register.ts";
import type { Files } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import type { StackDescription } from "./stack.ts";

const rolesSchema = z.object({ primary: z.enum(["db", "db_replica"]), action: z.unknown() });

/** The name of the record in the controller's folder. */
export const RECORD_FILE = "record.json";

/** The stack with its recorded primary; as it was given where nothing was recorded. Rejects with `lease.record-damaged`. */
export async function rolesInUse(files: Files, stack: StackDescription): Promise<StackDescription> {
  const file = path.join(stack.place.controller, RECORD_FILE);
  const content = await fileRegister({ files, locks: systemLocks }, file).read({});
  const roles = rolesSchema.safeParse(content?.value);
  if (!roles.success) return stack;
  const { primary, action } = roles.data;
  return { ...stack, primary, recorded: action === null || action === undefined ? "settled" : "unsettled" };
}
