/** The durability of a stack: what is described, what its primary does, and changing it. */
import { setSyncNames, untilInForce, waitersReleased } from "../durability/act.ts";
import { type ChangePlan, wantedNames } from "../durability/decide.ts";
import type { DurabilityFacts } from "../durability/facts.ts";
import { observeDurability } from "../durability/observe.ts";
import { describedDurability, recordDurability } from "../durability/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import type { NodeName } from "./node-settings.ts";
import { nodeAddress } from "./nodes.ts";
import { findPrimary, startedSecrets } from "./primary.ts";
import { receiverNow } from "./receiver-now.ts";
import { confirmersOf, type StackDescription } from "./stack.ts";
import type { CallOptions } from "./tools.ts";

/** A confirmer that is there says so at least once a second; twice that, and a commit that still waits waits for another. */
const RELEASE_TIMEOUT_MS = 3_000;

type Tools = { readonly files: Files; readonly clock: Clock; readonly random: RandomSource };

/** What was seen, and of which node. */
export type StackDurabilityFacts = DurabilityFacts & { readonly primary: NodeName };

/** The stack with the durability that was chosen since it was described. Throws `durability.record-damaged`. */
export async function durabilityInUse(files: Files, stack: StackDescription): Promise<StackDescription> {
  const { mode } = await describedDurability(files, stack.place.durabilityFile, stack.durability);
  return { ...stack, durability: mode };
}

/** Looks; `stack` as configured. Rejects as `startedSecrets`, `findPrimary` and `observeDurability` do. */
export async function observeStackDurability(
  { files }: Pick<Tools, "files">,
  stack: StackDescription,
  options: CallOptions,
): Promise<StackDurabilityFacts> {
  const secrets = await startedSecrets(files, stack);
  const described = await describedDurability(files, stack.place.durabilityFile, stack.durability);
  const primary = await findPrimary(stack, secrets, options);
  const server = await observeDurability(nodeAddress(stack, secrets, primary), options);
  const { name, withdrawnBy } = await receiverNow(files, stack.place);
  return { primary, described, expected: confirmersOf(primary, name), withdrawnBy, server };
}

/** What a change came to. */
export type DurabilityChanged = { readonly facts: StackDurabilityFacts; readonly stillWaiting: number };

/**
 * Carries out a planned change: the choice is recorded, the server told, and its word heard. Rejects as `setSyncNames` and `govern`;
 * the choice then stands and the server disagrees with it. Repeatable.
 */
export async function changeStackDurability(
  tools: Tools,
  stack: StackDescription,
  change: Pick<Extract<ChangePlan, { kind: "change" }>, "to"> & {
    readonly primary: NodeName;
    /** Tells the server, where a controller does, and keeps its record in step; false: there is none. */
    readonly govern: () => Promise<boolean>;
  },
  options: CallOptions,
): Promise<DurabilityChanged> {
  const { files, clock } = tools;
  const { to, primary, govern } = change;
  const secrets = await startedSecrets(files, stack);
  const file = stack.place.durabilityFile;
  await recordDurability(tools, { file, mode: to, at: clock.now() }, options);
  const address = nodeAddress(stack, secrets, primary);
  const governed = await govern();
  const expected = confirmersOf(primary, (await receiverNow(files, stack.place)).name);
  const wanted = { names: wantedNames({ expected }, to), confirmers: expected };
  await (governed ? untilInForce : setSyncNames)(tools, { address, wanted }, options);
  const stillWaiting = await waitersReleased(tools, { address, timeoutMs: RELEASE_TIMEOUT_MS }, options);
  return { facts: await observeStackDurability(tools, stack, options), stillWaiting };
}
