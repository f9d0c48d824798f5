/** What there is of a stack's replication to watch. */
import type { Confirmer } from "../replication/facts.ts";
import type { WatchedNode } from "../replication/observe.ts";
import { nodePort } from "./node-settings.ts";
import { NODE_NAMES } from "./primary.ts";
import type { ReceiverNow } from "./receiver-now.ts";
import type { StackSecrets } from "./secrets.ts";
import { CONFIRMERS, ROLES, type StackDescription } from "./stack.ts";

const CONNECT_TIMEOUT_MS = 2_000;

/** The nodes, as their clients reach them, by a role that may look and not change. */
export function watchedNodes(stack: StackDescription, secrets: StackSecrets): readonly WatchedNode[] {
  return NODE_NAMES.map((name) => ({
    name,
    address: {
      host: "127.0.0.1",
      port: nodePort(stack, name),
      user: ROLES.lifeboat,
      password: secrets.backup,
      database: "postgres",
      tls: { mode: "disable" },
      applicationName: "lifeboat_watch",
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    },
  }));
}

/** Whoever could follow: both nodes, of which the primary does not, and the receiver as it is now. */
export function watchedConfirmers({ name, withdrawnBy }: ReceiverNow): readonly Confirmer[] {
  return [
    ...NODE_NAMES.map((node): Confirmer => ({ kind: "replica", name: node, slot: node })),
    { kind: "receiver", name, slot: CONFIRMERS.receiver, withdrawnBy },
  ];
}
