/**
 * Random bytes, as a port, so that simulations and goldens can fix them.
 */
import { randomBytes } from "node:crypto";

/** Returns `length` bytes that nobody can guess. */
export type RandomSource = (length: number) => Buffer;

/** The machine's cryptographic source. */
export const systemRandom: RandomSource = (length) => randomBytes(length);
