/**
 * How hard a repeated test tries. The long run (`npm run test:long`) runs the same tests with more seeds and
 * repetitions; its seed is printed, and the environment variable LIFEBOAT_TEST_SEED repeats it.
 */

const LONG_FACTOR = 10;
const USUAL_SEED = 20_260_418;

/** How often to repeat: `usual` times, ten times as often in the long run, or as often as said. */
export function repetitions(usual: number, long = usual * LONG_FACTOR): number {
  return process.env["LIFEBOAT_TEST_LONG"] === "1" ? long : usual;
}

/** The seed of this run: always the same, another each time in the long run. */
export function testSeed(): number {
  const given = Number(process.env["LIFEBOAT_TEST_SEED"] ?? USUAL_SEED);
  if (!Number.isSafeInteger(given)) throw new Error(`LIFEBOAT_TEST_SEED is no whole number: ${given}`);
  return given;
}
