/** The durability of the configured stack. */
import { planChange } from "../durability/decide.ts";
import { assert, LifeboatError } from "../errors/error.ts";
import { changeStackDurability, observeStackDurability } from "../stack/durability.ts";
import { exclusively } from "../stack/exclusive.ts";
import type { DurabilityChange, DurabilityEngine } from "./durability.ts";
import { MACHINE } from "./engine-machine.ts";
import { describedPlace } from "./engine-stack.ts";

/** Looks and changes. */
export const durabilityEngine: DurabilityEngine = {
  look: async ({ config, session }) =>
    await observeStackDurability(MACHINE, await describedPlace(config), { signal: session.signal }),

  plan: async ({ config, session, request }) => {
    const facts = await observeStackDurability(MACHINE, await describedPlace(config), { signal: session.signal });
    return { facts, plan: planChange(facts, request) };
  },

  change: async ({ config, session, request, planned }) => {
    const options = { signal: session.signal };
    const stack = await describedPlace(config);
    const tools = { ...MACHINE, clock: session.clock };
    return await exclusively(MACHINE, stack, async () => {
      const facts = await observeStackDurability(MACHINE, stack, options);
      const plan = planChange(facts, request);
      if (plan.kind !== "change" || !sameChange(plan, planned)) throw changedMeanwhile(stack.name);
      return await changeStackDurability(tools, stack, { to: plan.to, primary: facts.primary }, options);
    });
  },
};

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
