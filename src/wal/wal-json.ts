/** How a place in the WAL is written in the files of a spool and told between programs. */
import { z } from "zod";
import { parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";

/** Positions in JSON. */
export const lsnSchema = z
  .string()
  .regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)
  .transform(parseLsn);

/** Timelines in JSON. */
export const timelineSchema = z
  .int()
  .min(1)
  .max(0xffffffff)
  .transform((value) => value as Timeline);

/** System identifiers in JSON: decimal. */
export const systemIdSchema = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform((value) => value as SystemId);
