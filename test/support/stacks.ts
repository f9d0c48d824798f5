/** A described stack for tests that start nothing. */
import { describeStack, type StackChoice, type StackDescription } from "../../src/stack/stack.ts";
import type { ByteSize } from "../../src/units/byte-size.ts";

const MIB = 1024 * 1024;

/** What is chosen where a test says nothing. */
export const STACK_CHOICE: StackChoice = {
  name: "shop",
  stacksFolder: "/srv/lifeboat/stacks",
  ports: { front: 8000, mcp: 8080, pgbouncer: 5435, db: 5432, dbReplica: 5433, reads: 5434, redis: 6379 },
  major: 16,
  binDir: undefined,
  database: "catalog",
  applicationRole: "buywhere",
  durability: "quorum",
  poolers: 1,
  release: "0.0.0",
  service: true,
  feeds: "made-up",
  apis: 3,
  trustedProxies: [],
  privateWebhooks: false,
  api: [{ host: "127.0.0.1", port: 8101 }],
  maxConnections: 200,
  sharedBuffers: (128 * MIB) as ByteSize,
  slotWalMax: (8192 * MIB) as ByteSize,
  cacheMemoryMax: (256 * MIB) as ByteSize,
  cachePolicy: "allkeys-lru",
  daemon: true,
  daemonConfig: "# The daemon's.\n",
};

/** The description of it, with what a test wants different. */
export function testStack(different: Partial<StackChoice> = {}): StackDescription {
  return describeStack({ ...STACK_CHOICE, ...different });
}
