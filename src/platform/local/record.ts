/** What a supervisor must still know after it was killed. docs/formats/supervisor.md is the specification. */
import path from "node:path";
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import type { ComponentSpec } from "../components.ts";
import { writeDurable } from "../durable.ts";
import type { Files } from "../files.ts";
import { keepReserve, removeReserve, withReserve } from "../reserve.ts";

const whole = z.number().int().min(0);

/** A component's spec, as it is sent and recorded. */
export const specSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/),
  program: z.string().min(1),
  arguments: z.array(z.string()),
  environment: z.record(z.string(), z.string()),
  workFolder: z.string().min(1),
  runAs: z.strictObject({ name: z.string(), uid: whole, gid: whole }).optional(),
  ports: z.array(z.strictObject({ name: z.string(), port: whole })),
  restart: z.enum(["never", "on-failure", "unhurried"]),
  stop: z.strictObject({ signal: z.string().regex(/^SIG[A-Z0-9]+$/), timeoutMs: whole }),
});

const componentSchema = z.strictObject({
  /** Undefined for a name that was fenced before it was ever started. */
  spec: specSchema.optional(),
  /** When it was fenced; null: it is not. */
  fencedAt: whole.nullable(),
  /**
   * The process that runs it, or ran it last where it waits to be started again; the ticks tell it from a later one with its
   * number, `boot` (absent in records of before) the run of the machine. Null: it shall be down.
   */
  process: z
    .strictObject({
      pid: whole,
      startTicks: z.string(),
      startedAt: whole,
      boot: z.string().optional(),
      /** It was told to go down, and is not known to be: it is not started again. Absent otherwise. */
      toldDown: z.literal(true).optional(),
    })
    .nullable(),
});

const recordSchema = z.strictObject({
  format: z.literal("lifeboat-supervisor"),
  version: z.literal(1),
  /** The greatest epoch of an order; absent before the first. */
  epoch: whole.optional(),
  components: z.record(z.string(), componentSchema),
});

/** What is recorded of a component. */
export type ComponentRecord = z.output<typeof componentSchema>;

/** A recorded spec is what was sent. */
export function specOf(recorded: NonNullable<ComponentRecord["spec"]>): ComponentSpec {
  const { stop, runAs, ...rest } = recorded;
  return { ...rest, runAs, stop: { ...stop, signal: stop.signal as NodeJS.Signals } };
}

/** A spec as it is sent and recorded. */
export function recordedSpec(spec: ComponentSpec): NonNullable<ComponentRecord["spec"]> {
  const { name, program, workFolder, restart, stop, runAs } = spec;
  return {
    name,
    program,
    arguments: [...spec.arguments],
    environment: { ...spec.environment },
    workFolder,
    runAs: runAs === undefined ? undefined : { name: runAs.name, uid: runAs.uid, gid: runAs.gid },
    ports: spec.ports.map((each) => ({ name: each.name, port: each.port })),
    restart,
    stop: { signal: stop.signal, timeoutMs: stop.timeoutMs },
  };
}

const RECORD_FILE = "components.json";
/** Ten components take some ten thousand bytes. */
const RESERVE_BYTES = 128 * 1024;

/** All that is recorded. */
export type SupervisorRecord = { readonly epoch: number; readonly components: ReadonlyMap<string, ComponentRecord> };

/** Whether there is a process to look after, as far as is recorded. */
export function namesProcess(components: ReadonlyMap<string, ComponentRecord>): boolean {
  return [...components.values()].some(({ process }) => process !== null);
}

/** Reads the record; empty where there is none. Throws `platform.supervisor-record` for one that cannot be read. */
export async function readRecord(files: Files, folder: string): Promise<SupervisorRecord> {
  const file = path.join(folder, RECORD_FILE);
  try {
    const read = recordSchema.parse(JSON.parse((await files.readFile(file)).toString("utf8")));
    return { epoch: read.epoch ?? 0, components: new Map(Object.entries(read.components)) };
  } catch (cause) {
    if (isLifeboatError(cause, "platform.file-missing")) return { epoch: 0, components: new Map() };
    if (isLifeboatError(cause)) throw cause;
    throw new LifeboatError("platform.supervisor-record", {
      message: `${file} cannot be read: ${errorText(cause)}`,
      remedy: "See what still runs of the stack and end it, then remove this file and run `lifeboat up` again.",
      cause,
    });
  }
}

/** Whether there is a record. */
export async function hasRecord(files: Files, folder: string): Promise<boolean> {
  return (await files.stat(path.join(folder, RECORD_FILE))) !== undefined;
}

/** Removes a record that says nothing any more, and what was kept for it. */
export async function removeRecord(files: Files, folder: string): Promise<void> {
  await files.remove(path.join(folder, RECORD_FILE));
  await removeReserve(files, folder);
  await files.syncFolder(folder);
}

/**
 * Keeps room for a record where none would be left: a full disk must not keep a node from being fenced, or anything from
 * being started that mends it.
 */
export function keepRecordReserve(files: Files, folder: string): Promise<void> {
  return keepReserve(files, folder, RESERVE_BYTES);
}

/** Writes the record, on a full disk with what was kept for it; it survives a power cut once this returns. */
export async function writeRecord(files: Files, folder: string, record: SupervisorRecord): Promise<void> {
  await withReserve(files, folder, () => write(files, folder, record));
}

async function write(files: Files, folder: string, { epoch, components }: SupervisorRecord): Promise<void> {
  const heard = epoch === 0 ? {} : { epoch };
  const record = { format: "lifeboat-supervisor", version: 1, ...heard, components: Object.fromEntries(components) };
  await writeDurable(files, {
    file: path.join(folder, RECORD_FILE),
    parts: [Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`)],
    over: "replace",
    permissions: 0o600,
    unique: "lifeboat",
  });
}
