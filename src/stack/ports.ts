/**
 * The ports of a stack: the described ones, or free ones that stay the same from then on.
 *
 * Ports that were taken freely are recorded in ports.json before anything listens on them; whoever comes later uses those,
 * so that clients find the stack where it was. Described in docs/formats/stack-ports.md.
 */
import { z } from "zod";
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import { findFreePort, isPortFree } from "../platform/free-port.ts";
import { holderOfPort } from "../platform/port-holder.ts";
import type { RandomSource } from "../platform/random.ts";
import { makeOpenFolder } from "./open-folder.ts";
import { LISTENER, PORT_NAMES, type PortName, type StackDescription, type StackPorts } from "./stack.ts";

/** How ports are chosen where none were recorded. */
export type PortChoice = "described" | "auto";

/** The setting of each. */
const PORT_SETTINGS: Readonly<Record<PortName, string>> = {
  front: "frontPort",
  mcp: "mcpPort",
  pgbouncer: "poolerPort",
  db: "dbPort",
  dbReplica: "replicaPort",
  reads: "readPort",
  redis: "redisPort",
};

type Tools = { readonly files: Files; readonly random: RandomSource };

const portSchema = z.int().min(1).max(65_535);

const recordSchema = z.strictObject({
  format: z.literal("lifeboat-stack-ports"),
  version: z.literal(1),
  ports: z.strictObject({
    front: portSchema,
    pgbouncer: portSchema,
    db: portSchema,
    dbReplica: portSchema,
    reads: portSchema,
    redis: portSchema,
    // Not there in a record of before there was one.
    mcp: portSchema.optional(),
  }),
});

/** Ports as they were recorded: those that came later may be missing. */
export type RecordedPorts = Omit<StackPorts, "mcp"> & { readonly mcp?: number | undefined };

/** Two of a handful of ports that are drawn from ten thousand are rarely the same. */
const DRAWS_MAX = 100;

/** The recorded ports; undefined when none are. Throws `stack.record-damaged`. */
export async function readPorts(files: Files, file: string): Promise<RecordedPorts | undefined> {
  if ((await files.stat(file)) === undefined) return undefined;
  try {
    return recordSchema.parse(JSON.parse((await files.readFile(file)).toString("utf8"))).ports;
  } catch (cause) {
    if (isLifeboatError(cause)) throw cause;
    throw new LifeboatError("stack.record-damaged", {
      message: `${file} does not say which ports the stack uses: ${errorText(cause)}`,
      remedy:
        "Write it anew (docs/formats/stack-ports.md): the ports are those that the programs listen on. Where they may be others, remove it, and `lifeboat up --ports auto` takes free ones; the primary's must stay.",
      cause,
    });
  }
}

/** The ports that a stack uses: the recorded ones, else the described ones. Throws `stack.record-damaged`. */
export async function portsInUse(files: Files, stack: StackDescription): Promise<StackDescription> {
  return withRecorded(stack, await readPorts(files, stack.place.portsFile));
}

/** The same before a start; `auto` takes free ones and records them where none were recorded. */
export async function settlePorts(
  tools: Tools,
  stack: StackDescription,
  choice: PortChoice,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<StackDescription> {
  const { files, random } = tools;
  const { place } = stack;
  const recorded = await readPorts(files, place.portsFile);
  if (recorded !== undefined) return withRecorded(stack, recorded);
  if (choice === "described") return stack;
  const ports = await freePorts(random);
  await makeOpenFolder(files, place.folder);
  await recordPorts(tools, place.portsFile, ports, options);
  return { ...stack, ports };
}

function withRecorded(stack: StackDescription, recorded: RecordedPorts | undefined): StackDescription {
  if (recorded === undefined) return stack;
  return { ...stack, ports: { ...recorded, mcp: recorded.mcp ?? stack.ports.mcp } };
}

/** Records the ports, durably. */
export async function recordPorts(
  { files, random }: Tools,
  file: string,
  ports: StackPorts,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const text = `${JSON.stringify({ format: "lifeboat-stack-ports", version: 1, ports })}\n`;
  const unique = random(8).toString("hex");
  const parts = [Buffer.from(text)];
  await writeDurable(files, { file, parts, over: "replace", permissions: 0o644, unique, signal: options.signal });
}

/** Ports that nobody listens on right now, all different. Rejects with `platform.no-free-port`. */
export async function freePorts(random: RandomSource): Promise<StackPorts> {
  const found = new Set<number>();
  for (let draws = 0; found.size < PORT_NAMES.length; draws += 1) {
    assert(draws < DRAWS_MAX, "free ports differ sooner or later");
    found.add(await findFreePort(random));
  }
  const ports = [...found];
  const at = (name: PortName): number => ports[PORT_NAMES.indexOf(name)] ?? 0;
  return {
    front: at("front"),
    mcp: at("mcp"),
    pgbouncer: at("pgbouncer"),
    db: at("db"),
    dbReplica: at("dbReplica"),
    reads: at("reads"),
    redis: at("redis"),
  };
}

/** Throws `stack.port-busy` for all ports of these components on which something listens, with who it is. */
export async function checkPortsFree(ports: StackPorts, of: (name: PortName) => boolean): Promise<void> {
  const busy: string[] = [];
  for (const name of PORT_NAMES) {
    if (!of(name) || (await isPortFree(ports[name]))) continue;
    const holder = await holderOfPort(ports[name]);
    const who = holder === undefined ? "a process of another user" : `process ${holder.pid} (${holder.name})`;
    busy.push(`${ports[name]}, wanted for ${LISTENER[name]} (stack.${PORT_SETTINGS[name]}), is held by ${who}`);
  }
  if (busy.length === 0) return;
  throw new LifeboatError("stack.port-busy", {
    message: `port ${busy.join("; port ")}`,
    remedy:
      "End what holds it, or set another port (the setting in brackets) in lifeboat.yaml. A stack that was never up takes free ones: lifeboat up --ports auto.",
  });
}
