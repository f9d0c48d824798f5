/**
 * The durability of the configured stack.
 *
 * Invariant: where somebody has recorded who the primary is, its controller changes the mode, so that the record never claims
 * more than the primary does: the daemon, or this command in its place.
 */
import type { Control, RecordedDurability } from "../daemon/control.ts";
import { type ChangePlan, type ChangeRequest, planChange, wantedNames } from "../durability/decide.ts";
import type { DurabilityMode } from "../durability/names.ts";
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { changeStackDurability, observeStackDurability, type StackDurabilityFacts } from "../stack/durability.ts";
import { exclusively } from "../stack/exclusive.ts";
import type { StackDescription } from "../stack/stack.ts";
import type { DurabilityChange, DurabilityEngine } from "./durability.ts";
import { ask, withControl } from "./engine-failover.ts";
import { MACHINE } from "./engine-machine.ts";
import { describedPlace, type StackCall } from "./engine-stack.ts";

/** A change takes seconds, and waits for an asked action before it. */
const SILENT_MS = 120_000;

/** Looks and changes. */
export const durabilityEngine: DurabilityEngine = {
  look: async ({ config, session }) =>
    await observeStackDurability(MACHINE, await describedPlace(config), { signal: session.signal }),

  plan: async (call) => await plannedChange(call, await describedPlace(call.config), call.request),

  change: async (call) => {
    const { config, session, request, planned } = call;
    const stack = await describedPlace(config);
    const tools = { ...MACHINE, clock: session.clock };
    return await exclusively(MACHINE, stack, async () => {
      const { facts, plan } = await plannedChange(call, stack, request);
      if (plan.kind !== "change" || !sameChange(plan, planned)) throw changedMeanwhile(stack.name);
      const { to } = plan;
      const govern = async (): Promise<boolean> => {
        const recorded = await askController(call, stack, { to, force: request.force });
        if (recorded !== undefined && recorded !== to) session.notice(recordedLess(recorded, to));
        return recorded !== undefined;
      };
      const change = { to, primary: facts.primary, govern };
      return await changeStackDurability(tools, stack, change, { signal: session.signal });
    });
  },
};

/** Where server and description agree already, the record may still say something else. */
async function plannedChange(
  call: StackCall,
  stack: StackDescription,
  request: ChangeRequest,
): Promise<{ readonly facts: StackDurabilityFacts; readonly plan: ChangePlan }> {
  const facts = await observeStackDurability(MACHINE, stack, { signal: call.session.signal });
  const plan = planChange(facts, request);
  if (plan.kind !== "nothing") return { facts, plan };
  const { to } = request;
  const recorded = await askController(call, stack, { to: undefined, force: false });
  if (recorded === undefined || recorded === to) return { facts, plan };
  return { facts, plan: { kind: "change", from: to, to, names: wantedNames(facts, to), lowers: undefined } };
}

/** Asks for a mode, or for the one that is recorded. Undefined: nobody has recorded anything. */
async function askController(
  call: StackCall,
  stack: StackDescription,
  asked: { readonly to: DurabilityMode | undefined; readonly force: boolean },
): Promise<DurabilityMode | undefined> {
  const { to, force } = asked;
  const request = { call: "durability", force, ...(to === undefined ? {} : { to }) } as const;
  const answer = await ask(call, request, { silentMs: SILENT_MS });
  // Between two processes of one version: what the daemon made, this one reads.
  if (answer !== undefined) return (answer.result as RecordedDurability).recorded;
  if ((await MACHINE.files.stat(stack.place.controller)) === undefined) return undefined;
  const options = { signal: call.session.signal };
  const work = async (control: Control): Promise<RecordedDurability> =>
    to === undefined ? await control.recordedDurability(options) : await control.setDurability({ to, force }, options);
  try {
    return (await withControl(call, work)).recorded;
  } catch (error) {
    if (isLifeboatError(error, "failover.no-record")) return undefined;
    throw error;
  }
}

function recordedLess(recorded: DurabilityMode, to: DurabilityMode): string {
  return (
    `the record says ${recorded}, and a failover reckons with that, until enough confirmers have what was acknowledged ` +
    `before: run lifeboat durability ${to} again then`
  );
}

/** What was confirmed is still what would be done, whoever waits for it by now. */
function sameChange(now: DurabilityChange, then: DurabilityChange): boolean {
  assert(now.to === then.to, "the same change is planned twice");
  return (
    now.from === then.from && now.names === then.names && (now.lowers === undefined) === (then.lowers === undefined)
  );
}

function changedMeanwhile(name: string): LifeboatError {
  return new LifeboatError("stack.busy", {
    message: `the durability of stack ${name} was changed by somebody else meanwhile`,
    remedy: "Look at it, `lifeboat durability`, and decide anew.",
  });
}
