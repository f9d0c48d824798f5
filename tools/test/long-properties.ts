/**
 * Loaded before each test file of the long run: properties that name no number of runs of their own take the seed of the
 * run and ten times as many cases.
 */
import fc from "fast-check";
import { repetitions, testSeed } from "../../test/support/effort.ts";

const RUNS_USUAL = 100;

fc.configureGlobal({ seed: testSeed(), numRuns: repetitions(RUNS_USUAL) });
