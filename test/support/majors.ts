/**
 * On which majors of PostgreSQL a test runs.
 *
 * What depends on the version itself (the control file, pages, WAL records, what a base backup and the receiver's stream are made
 * of) is tested on all of them always, by `MAJORS`. All else of vault, WAL and restore runs on one that the file's name draws, so
 * that each of them is met by some files, and in the long run on all: the runner runs the file once with each.
 */
import path from "node:path";
import { Prng } from "../../src/platform/prng.ts";
import { MAJORS, type Major } from "../../src/postgres/installation.ts";
import { repetitions } from "./effort.ts";

/** Of majors that a test is for, in their order: the oldest and the newest, where it counts less which it is; all in the long run. */
export function outermost<T extends Major>(majors: readonly T[]): readonly T[] {
  const ends = majors.filter((_, at) => at === 0 || at === majors.length - 1);
  return repetitions(0, 1) === 0 ? ends : majors;
}

/** The newest of the majors that a test is for, where only its long run is for others too. */
export function newest<T extends Major>(majors: readonly T[]): readonly T[] {
  return repetitions(0, 1) === 0 ? majors.slice(-1) : majors;
}

/** The runner's choice, else the one that the name of the running file draws. */
export function defaultMajor(): Major {
  const given = process.env["LIFEBOAT_TEST_MAJOR"];
  const major = given === undefined ? drawnFor(process.argv[1] ?? "") : MAJORS.find((each) => String(each) === given);
  if (major === undefined) throw new Error(`LIFEBOAT_TEST_MAJOR is none of ${MAJORS.join(", ")}: ${given}`);
  return major;
}

function drawnFor(file: string): Major | undefined {
  let sum = 0;
  for (const byte of Buffer.from(path.basename(file))) sum = (sum * 31 + byte) % 1_000_003;
  return MAJORS[new Prng(sum, 0).below(MAJORS.length)];
}
