/**
 * On which major of PostgreSQL a test file runs that names none.
 *
 * What depends on the version itself (the control file, pages, WAL records, what a base backup and the receiver's stream are made
 * of) is tested on all of them always, by `MAJORS`. All else of vault, WAL and restore runs on one that the file's name draws, so
 * that each of them is met by some files, and in the long run on all: the runner runs the file once with each.
 */
import path from "node:path";
import { Prng } from "../../src/platform/prng.ts";
import { MAJORS, type Major } from "../../src/postgres/installation.ts";

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
