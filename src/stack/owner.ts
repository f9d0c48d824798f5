/** Whose a stack is: what root writes into that of another user is closed to that one afterwards. */
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { StackDescription } from "./stack.ts";

const ROOT_UID = 0;

/**
 * Rejects with `stack.owned-by-another` where root would run the stack of an unprivileged user: its programs would then run as the server's
 * user of root, who cannot read what is there, and what they write its owner could not. A stack that is not there is nobody's.
 */
export async function refuseForeignOwner(
  files: Pick<Files, "stat">,
  { name, place }: Pick<StackDescription, "name" | "place">,
  uid: number,
): Promise<void> {
  const facts = uid === ROOT_UID ? await files.stat(place.folder) : undefined;
  if (facts === undefined || facts.uid === ROOT_UID) return;
  throw new LifeboatError("stack.owned-by-another", {
    message: `stack ${name} in ${place.folder} belongs to user ${facts.uid}, and root would leave it unusable for that user and for itself`,
    remedy: `Nothing was done. Run the command as its owner: sudo -u '#${facts.uid}' lifeboat with the same words, and --folders-state where it is needed.`,
  });
}
