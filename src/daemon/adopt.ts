/**
 * Writes the first record of a stack: which node is the primary, seen and not assumed.
 *
 * Invariant: only where exactly one node takes writes and no other could: a stack in which two do, or none, is for a person.
 */
import { modeOfNames } from "../durability/names.ts";
import { LifeboatError } from "../errors/error.ts";
import { requiredConfirmers } from "../failover/decide.ts";
import type { ClusterRecord, Durability, Epoch, FailoverPorts } from "../failover/ports.ts";

type Ports = Pick<FailoverPorts, "nodes" | "lease" | "record">;

const PROBE_MS = 2_000;
const ORDER_MS = 2_000;

/**
 * True when there is a record, which this may have written. False: somebody else holds the lease, or it cannot be told yet who
 * the primary is. Rejects as lease and record do.
 */
export async function adoptStack(
  ports: Ports,
  durability: Durability,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const call = { timeoutMs: ORDER_MS, ...options };
  if ((await ports.record.read(call)) !== undefined) return true;
  const answer = await ports.lease.claim(0 as Epoch, call);
  if (answer.kind === "held") return false;
  const { lease } = answer;
  try {
    const record = await firstRecord(ports, { durability, reign: lease.epoch }, options);
    if (record === undefined || !lease.holds(ORDER_MS)) return false;
    const written = await ports.record.write({ epoch: lease.epoch, over: 0, record }, call);
    return written.kind === "done";
  } finally {
    await lease.end();
  }
}

async function firstRecord(
  { nodes }: Ports,
  of: { readonly durability: Durability; readonly reign: Epoch },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<ClusterRecord | undefined> {
  const probes = await Promise.all(
    nodes.map(async (node) => ({ node, probe: await node.probe({ timeoutMs: PROBE_MS, ...options }) })),
  );
  const primaries = probes.flatMap(({ node, probe }) =>
    probe.kind === "answered" && probe.view.role.kind === "primary" ? [{ node, view: probe.view }] : [],
  );
  const [primary, second] = primaries;
  if (second !== undefined) {
    throw new LifeboatError("failover.two-primaries", {
      message: `${primaries.map(({ node }) => node.name).join(" and ")} both take writes`,
      remedy: "Stop the one that clients do not use, at once, and keep its data.",
    });
  }
  if (primary === undefined) return undefined;
  const { systemId, timeline } = primary.view;
  const durability = weaker(of.durability, primary.view.synchronousNames);
  return {
    reign: of.reign,
    durability,
    systemId,
    timeline,
    primary: primary.node.name,
    joined: [],
    action: undefined,
    maintenance: false,
  };
}

/**
 * The record never claims more than the primary does (rule B13). Names that Lifeboat did not set count as no mode: the first
 * reign sets those of the configured one, and until then a failover reckons with nobody who waits.
 */
function weaker(configured: Durability, names: string): Durability {
  const done = modeOfNames(names);
  return done !== "other" && requiredConfirmers(done) < requiredConfirmers(configured) ? done : configured;
}
