/** Under which name the receiver of a stack confirms now: its mandate says so (rule B4). */
import type { Files } from "../platform/files.ts";
import { nameInReign, readMandate } from "../wal/mandate.ts";
import { CONFIRMERS, type StackPlace } from "./stack.ts";

/** The receiver as its mandate has it. */
export type ReceiverNow = {
  /** The name of its connection. */
  readonly name: string;
  /** The epoch for whose sake it confirms nothing; undefined while it may. */
  readonly withdrawnBy: number | undefined;
};

/** Reads the mandate. Throws `wal.spool-damaged`. */
export async function receiverNow(files: Files, { spool }: Pick<StackPlace, "spool">): Promise<ReceiverNow> {
  const mandate = await readMandate(files, spool);
  if (mandate.kind === "withdrawn") return { name: CONFIRMERS.receiver, withdrawnBy: mandate.epoch };
  return { name: nameInReign(CONFIRMERS.receiver, mandate.reign), withdrawnBy: undefined };
}
