/** Which node of a stack is the primary now, by asking both: after a failover it is not the one that was described. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { NodeName } from "./node-settings.ts";
import { nodeAddress, withNode } from "./nodes.ts";
import { readSecrets, type StackSecrets } from "./secrets.ts";
import type { StackDescription } from "./stack.ts";
import type { CallOptions } from "./tools.ts";

/** The nodes, the described primary first. */
export const NODE_NAMES: readonly NodeName[] = ["db", "db_replica"];

/** The secrets of a stack that was started at least once. Rejects with `stack.not-started`, or as `readSecrets`. */
export async function startedSecrets(files: Files, { name, place }: StackDescription): Promise<StackSecrets> {
  if ((await files.stat(place.secrets)) !== undefined) return await readSecrets(files, place);
  throw new LifeboatError("stack.not-started", {
    message: `stack ${name} was never started: ${place.secrets} is not there`,
    remedy: "Start it: lifeboat up. If it runs elsewhere, name its configuration with --config.",
  });
}

/**
 * The one node that takes writes. Rejects with `stack.no-primary` when none says that it does, and with
 * `stack.two-primaries` when both do.
 */
export async function findPrimary(
  stack: StackDescription,
  secrets: StackSecrets,
  options: CallOptions,
): Promise<NodeName> {
  const answers = await Promise.all(NODE_NAMES.map((node) => roleOf(stack, secrets, { ...options, node })));
  const primaries = NODE_NAMES.filter((_, index) => answers[index] === "primary");
  const [only, second] = primaries;
  if (second !== undefined) {
    throw new LifeboatError("stack.two-primaries", {
      message: `${primaries.join(" and ")} of stack ${stack.name} both take writes`,
      remedy: "Stop the one that the pooler does not lead to, at once, and keep its data: writes may be on one alone.",
    });
  }
  if (only !== undefined) return only;
  const said = NODE_NAMES.map((node, index) => `${node} ${answers[index]}`).join(", ");
  throw new LifeboatError("stack.no-primary", {
    message: `no node of stack ${stack.name} takes writes: ${said}`,
    remedy: "See `lifeboat ps` for what runs. Before anything is promoted: what the old primary has must be known.",
    retryable: true,
  });
}

async function roleOf(
  stack: StackDescription,
  secrets: StackSecrets,
  { node, ...options }: CallOptions & { readonly node: NodeName },
): Promise<string> {
  try {
    return await withNode(nodeAddress(stack, secrets, node), options, async ({ run }) => {
      const [row] = await run("SELECT pg_is_in_recovery() AS standby");
      return row?.["standby"] === false ? "primary" : "is a replica";
    });
  } catch (error) {
    if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error)) throw error;
    return `cannot be asked (${error.message})`;
  }
}
