/** A daemon's control of a stack, over ports that a test makes. */
import { Control } from "../../src/daemon/control.ts";
import type { LocalMachines } from "../../src/daemon/machines.ts";
import type { Reporter } from "../../src/daemon/reporter.ts";
import { Survey, type Surveyed } from "../../src/daemon/survey.ts";
import type { Pace } from "../../src/failover/controller.ts";
import { SEQUENCE_LIMITS } from "../../src/failover/limits.ts";
import type { FailoverPorts } from "../../src/failover/ports.ts";
import { only } from "./failover-ports.ts";
import { POLICY, RECORD } from "./failover-views.ts";

/** How it looks where only a leaping clock passes. */
const PACE: Pace = {
  probeMs: 100,
  intervalMs: 10,
  suspectMs: 10,
  claimMs: 100,
  rejoinAfterMs: 1_000,
  catchUpMs: 1_000,
  rejoinAgainMs: 1_000,
  retryMs: 100,
};

/** A control of which machines are asked nothing else, and whose nodes tell this of what replication does not carry. */
export function controlOf(
  ports: FailoverPorts,
  surveyed: readonly Surveyed[],
  machines: Partial<LocalMachines> = {},
): Control {
  return new Control({
    ports,
    machines: only<LocalMachines>("machines", { refusalOf: () => undefined, failureOf: () => undefined, ...machines }),
    reporter: only<Reporter>("reporter", { last: async () => undefined }),
    survey: new Survey(ports.clock, surveyed, () => undefined),
    options: { policy: POLICY, limits: SEQUENCE_LIMITS, pace: PACE },
    stack: "shop",
    durability: "quorum",
    notice: () => undefined,
  });
}

/** The same of a stack that has a record. */
export async function recordedControlOf(
  ports: FailoverPorts,
  surveyed: readonly Surveyed[],
  machines: Partial<LocalMachines> = {},
): Promise<Control> {
  await ports.record.write({ epoch: RECORD.reign, over: 0, record: RECORD }, { timeoutMs: 1_000 });
  return controlOf(ports, surveyed, machines);
}
