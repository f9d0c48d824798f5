/**
 * Which role a stack has as the application's: the one that its poolers let in.
 *
 * Invariants: the database is asked only for leave to go over to another one. Whose it is, or whose its tables are, is not looked at while
 * the role is what it was: another tool may have made it, and an application may have given it away.
 */
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { POOLER_CONSOLE_ROLE } from "../pooler/console.ts";
import { nodeDataOf } from "./nodes.ts";
import { hasCluster, type PrimaryFacts } from "./plan.ts";
import { usersFileOf } from "./pooler-config.ts";
import { ROLES, type StackDescription } from "./stack.ts";

/**
 * The role that the poolers let in, where another one is described and is not known to own the database; undefined: the start may go on.
 * `primary` is what that says, undefined while it cannot be asked.
 */
export async function otherApplication(
  files: Files,
  stack: StackDescription,
  primary: PrimaryFacts | undefined,
): Promise<string | undefined> {
  const role = await differentRole(files, stack);
  if (role === undefined) return undefined;
  // Of a stack that was not made to the end: the database is made for whoever is described.
  const isMade =
    primary === undefined
      ? hasCluster(await nodeDataOf(files, stack.place.dataOf(stack.primary)))
      : primary.databaseOwner !== undefined;
  return isMade && primary?.databaseOwner !== stack.applicationRole ? role : undefined;
}

/** Rejects with `stack.application-role-changed` where the poolers let in another role, whoever owns the database. */
export async function refuseOtherApplication(files: Files, stack: StackDescription): Promise<void> {
  const role = await differentRole(files, stack);
  if (role !== undefined) throw applicationRoleChanged(stack, role);
}

/** The error about it. */
export function applicationRoleChanged(stack: StackDescription, role: string): LifeboatError {
  const { name, database, applicationRole } = stack;
  return new LifeboatError("stack.application-role-changed", {
    message: `stack.applicationRole is ${applicationRole}, and the poolers of stack ${name} let in ${role}; that ${applicationRole} owns the database ${database} is not seen`,
    remedy: `Nothing was changed. Set stack.applicationRole to ${role} again, and run lifeboat up. To go over to another role, give it the database and what is in there first (ALTER DATABASE … OWNER TO, REASSIGN OWNED); then change the setting, and run lifeboat up while the primary works.`,
  });
}

/** The role in the poolers' list of users, where it is not the described one. */
async function differentRole(files: Files, stack: StackDescription): Promise<string | undefined> {
  const file = usersFileOf(stack);
  if ((await files.stat(file)) === undefined) return undefined;
  const lines = (await files.readFile(file)).toString("utf8").split("\n");
  const names = lines.flatMap((line) => /^"([^"]+)" "/.exec(line)?.[1] ?? []);
  // Ours are none that one could go back to: an earlier release took them.
  const ours: ReadonlySet<string> = new Set([POOLER_CONSOLE_ROLE, ...Object.values(ROLES)]);
  const role = names.find((each) => !ours.has(each));
  return role === stack.applicationRole ? undefined : role;
}
