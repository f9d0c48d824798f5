/** What clients notice: poolers are paused, sent elsewhere, resumed. One pooler that fails stops no other. */
import { errorText } from "../errors/error-text.ts";
import type { Step } from "./plan.ts";
import { nodePort, type Progress, persist, type StepTools, stepFailed, tryAll } from "./step-tools.ts";

type ClientStep = Extract<
  Step,
  {
    readonly kind:
      | "check-logins"
      | "pause-poolers"
      | "repoint-poolers"
      | "drop-dead"
      | "resume-poolers"
      | "prove-writes";
  }
>;

/** Does one of these steps. Rejects with `failover.*`: what a single pooler fails at is a shortcoming, except before a switchover. */
export async function performClientStep(
  tools: StepTools,
  step: ClientStep,
  progress: Progress,
): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const { poolers } = acting.ports;
  const { orderMs } = limits;
  switch (step.kind) {
    case "check-logins":
      return checkLogins(tools);
    case "pause-poolers":
      return step.drain ? drainPoolers(tools) : pausePoolers(tools, step);
    case "repoint-poolers":
      return {
        shortcomings: await tryAll(poolers, (pooler) =>
          persist(tools, () => acting.order(orderMs, (epoch, call) => pooler.repoint({ epoch, node: plan.to }, call))),
        ),
      };
    case "drop-dead":
      if (plan.from === plan.to) return {};
      return {
        shortcomings: await tryAll(poolers, (pooler) =>
          acting.order(orderMs, (epoch, call) => pooler.dropDead({ epoch, node: plan.from }, call)),
        ),
      };
    case "resume-poolers":
      return {
        shortcomings: await tryAll(poolers, (pooler) =>
          persist(tools, () => acting.order(orderMs, (epoch, call) => pooler.resume({ epoch }, call))),
        ),
      };
    case "prove-writes":
      // Through each pooler (I26): a pooler that serves somebody else is found here.
      return {
        shortcomings: await tryAll(poolers, async (pooler) => {
          const { timeline } = await pooler.proveWrite(acting.call(limits.proveMs));
          const wanted = progress.stored.record.timeline;
          if (timeline === wanted) return;
          throw new Error(`it leads to a server that writes on timeline ${timeline}, the primary is on ${wanted}`);
        }),
      };
  }
}

async function checkLogins(tools: StepTools): Promise<Partial<Progress>> {
  const { acting, limits, plan } = tools;
  const failures = await tryAll(acting.ports.poolers, async (pooler) => {
    const can = await pooler.canLogIn(plan.to, acting.call(limits.orderMs));
    if (!can) throw stepFailed("check-logins", `${pooler.name} cannot log in to ${plan.to}`);
  });
  if (failures.length > 0) throw stepFailed("check-logins", failures.join("; "));
  return {};
}

/** For servers that are gone, or may be: clients wait at those poolers that answer. */
async function pausePoolers(
  tools: StepTools,
  { gone, sparing }: Pick<Extract<ClientStep, { readonly kind: "pause-poolers" }>, "gone" | "sparing">,
): Promise<Partial<Progress>> {
  const { acting, limits } = tools;
  if (await tools.paused) return {};
  const wish = { drain: false, gone, sparing, drainMs: 0, holdMsMax: limits.pauseHoldMs };
  const shortcomings = await tryAll(acting.ports.poolers, async (pooler) => {
    const answer = await acting.order(limits.pauseMs, (epoch, call) => pooler.pause({ epoch, ...wish }, call));
    if (answer.kind === "not-drained") throw new Error(`${WHY_NOT_DRAINED[answer.because]}, and clients wait for it`);
  });
  return { shortcomings };
}

/** For a switchover: all of them or none. */
async function drainPoolers(tools: StepTools): Promise<Partial<Progress>> {
  const { acting, limits } = tools;
  const wish = { drain: true, drainMs: limits.drainMs, holdMsMax: limits.pauseHoldMs };
  const over = new AbortController();
  const seen = whatRuns(tools, over.signal);
  try {
    const failures = await tryAll(acting.ports.poolers, async (pooler) => {
      const answer = await acting.order(limits.drainMs + limits.orderMs, (epoch, call) =>
        pooler.pause({ epoch, ...wish }, call),
      );
      if (answer.kind === "not-drained")
        throw new Error(`${WHY_NOT_DRAINED[answer.because]} within ${limits.drainMs} ms`);
    });
    if (failures.length > 0) throw stepFailed("pause-poolers", [...failures, await seen].join("; "));
  } finally {
    over.abort();
  }
  return {};
}

const WHY_NOT_DRAINED = {
  "login-in-flight": "a login to the server did not end",
  "statements-run": "transactions did not end",
} as const;

/** What ran in the middle of the wait, for whoever reads why it was given up: at its end it may have gone. Never rejects. */
async function whatRuns(tools: StepTools, signal: AbortSignal): Promise<string> {
  const { acting, limits, plan } = tools;
  try {
    await acting.ports.clock.sleep(limits.drainMs / 2, { signal });
    const lines = await nodePort(tools, plan.from).openTransactions({ timeoutMs: limits.orderMs, signal });
    return lines.length === 0 ? `nothing was open at ${plan.from} halfway` : `halfway there was: ${lines.join("; ")}`;
  } catch (error) {
    return `what ran is not known: ${errorText(error)}`;
  }
}
