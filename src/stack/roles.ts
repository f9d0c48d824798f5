/** Who is what in a stack, as its controller recorded it. */
import path from "node:path";
import { z } from "zod";
import { damagedRegister, fileRegister } from "../lease/file/file-register.ts";
import type { Files } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import type { StackDescription } from "./stack.ts";

const rolesSchema = z.object({
  primary: z.enum(["db", "db_replica"]),
  // Whatever it says: one has not ended.
  action: z.unknown().transform((action) => action !== null && action !== undefined),
  maintenance: z.boolean().catch(false),
});

/** What is read of the record; `action`: one was begun and has not ended. */
export type RecordedRoles = z.output<typeof rolesSchema>;

/** The name of the record in the controller's folder. */
export const RECORD_FILE = "record.json";

/** Whether a daemon would answer the end of the primary with a failover, as far as the record says. */
export async function isFailoverArmed(files: Files, stack: StackDescription): Promise<boolean> {
  const roles = await readRoles(files, stack.place.controller);
  return roles !== undefined && !roles.maintenance;
}

/** The stack with its recorded primary; as it was given where nothing was recorded. Rejects with `lease.record-damaged`. */
export async function rolesInUse(files: Files, stack: StackDescription): Promise<StackDescription> {
  const roles = await readRoles(files, stack.place.controller);
  if (roles === undefined) return stack;
  const { primary, action, maintenance } = roles;
  return { ...stack, primary, recorded: action ? "unsettled" : "settled", failoverPaused: maintenance };
}

/** Reads the record in a controller's folder. Rejects with `lease.record-damaged`. */
export async function readRoles(files: Files, controllerFolder: string): Promise<RecordedRoles | undefined> {
  const file = path.join(controllerFolder, RECORD_FILE);
  const content = await fileRegister({ files, locks: systemLocks }, file).read({});
  if (content === undefined) return undefined;
  const roles = rolesSchema.safeParse(content.value);
  if (roles.success) return roles.data;
  // Taken for none, it would have whoever starts the stack begin with the primary of the beginning.
  throw damagedRegister(file, roles.error);
}
