/**
 * A controller as a process of its own, to be killed: `node pooler-controller-process.ts '<json>'`. It pauses a pooler, prints
 * "paused", and renews its hold for as long as it lives.
 */
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { systemLocks } from "../../src/platform/lock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { type ConsoleAddress, consolesOf } from "../../src/pooler/console.ts";
import { PgBouncer } from "../../src/pooler/pgbouncer.ts";

/** What the process is told. */
export type PoolerControllerOptions = {
  readonly name: string;
  readonly console: ConsoleAddress;
  readonly databasesFile: string;
  readonly holdMs: number;
};

const { name, console: address, databasesFile, holdMs }: PoolerControllerOptions = JSON.parse(process.argv[2] ?? "");
const pooler = new PgBouncer(
  { clock: systemClock, files: systemFiles, locks: systemLocks, random: systemRandom },
  { name, ...consolesOf(address), databasesFile },
);
for (;;) {
  const answer = await pooler.pause({ epoch: 1, drain: true, drainMs: 5_000, holdMsMax: holdMs }, {});
  process.stdout.write(answer.kind === "done" ? "paused\n" : `${answer.kind}\n`);
  await systemClock.sleep(holdMs / 4, {});
}
