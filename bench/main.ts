/**
 * Benchmarks: `npm run bench -- backup | receive`.
 *
 * Nouns: a *workload* is named data or load that makes a figure comparable; a *tool* is a program under measurement, ours
 * first; a *round* runs every tool once in the same order, so that what disturbs the machine disturbs all; a *goal* is a
 * figure that was promised, a *verdict* whether a run keeps it.
 * Invariants: every number we promise has a benchmark here, its history in docs/measurements.md; tools are driven as a user
 * would, by their command lines; what is installed, made and kept is said before it is done; figures are medians with their
 * spread, ratios are taken within a round; nothing runs on after the benchmark has ended, Ctrl-C included.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { EXIT } from "../src/errors/entry.ts";
import { isLifeboatError } from "../src/errors/error.ts";
import { benchBackup, planFor } from "./backup.ts";
import { PEERS } from "./backup-plan.ts";
import { loadAverage, Stop } from "./machine.ts";
import { benchReceive } from "./receive.ts";
import { provenance, type Report } from "./report.ts";
import { cacheFolderDefault } from "./workload.ts";

const USAGE = `npm run bench -- backup [options]     full backups beside the peers'
  --mib N            size of the database (default 2048; made once, 3 minutes, and kept)
  --runs N           rounds (default 3)
  --peers A,B        ${PEERS.join(",")} (default both), or none
  --restore          restore each backup and start the server too
  --scale            Lifeboat also with a quarter of the data: does its memory grow?
  --keep             leave the last backups until the next benchmark
  --dry-run          say what would be installed and made, and how much disk it takes

npm run bench -- receive [options]    what a commit waits for a receiver, beside pg_receivewal
  --runs N           rounds (default 3)
  --seconds N        of load in each (default 10)

  --folder FOLDER    where to work and to keep what was made (default ${cacheFolderDefault(process.env)})
  --json FILE        write everything that was measured there as well
Goals that are missed are told; they do not change the exit status.`;

/** Above this, others are at work, and figures say little. */
const QUIET_LOAD_MAX = 0.5;
const MIB_MAX = 1024 * 1024;
const RUNS_MAX = 100;
const SECONDS_MAX = 3600;

const OPTIONS = {
  mib: { type: "string", default: "2048" },
  runs: { type: "string", default: "3" },
  peers: { type: "string", default: PEERS.join(",") },
  restore: { type: "boolean", default: false },
  scale: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  seconds: { type: "string", default: "10" },
  folder: { type: "string", default: cacheFolderDefault(process.env) },
  json: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => {
      console.error(`\n${name}: cleaning up`);
      controller.abort(new Error(name));
    });
  }
  try {
    return await run(args, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return EXIT.interrupted;
    return tell(error);
  }
}

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help || positionals.length === 0) {
    console.log(USAGE);
    return positionals.length === 0 && !values.help ? EXIT.usage : 0;
  }
  const [benchmark] = positionals;
  const load = loadAverage();
  if (load > QUIET_LOAD_MAX) console.log(`the machine is busy (load ${load.toFixed(1)}): trust ratios, not seconds`);
  const report = await measureOne(benchmark ?? "", values, signal);
  if (report === undefined) return 0;
  console.log(`\n${report.text}`);
  if (values.json !== undefined) {
    const data = { ...(await provenance(load)), ...report.data };
    await writeFile(values.json, `${JSON.stringify(data, undefined, 2)}\n`);
  }
  return 0;
}

async function measureOne(name: string, values: Values, signal: AbortSignal): Promise<Report | undefined> {
  const runs = whole("runs", values.runs, RUNS_MAX);
  const cacheFolder = values.folder;
  if (!cacheFolder.startsWith("/")) throw new Stop(`--folder ${cacheFolder}: must be an absolute path`);
  if (name === "receive") {
    return benchReceive({ runs, seconds: whole("seconds", values.seconds, SECONDS_MAX), cacheFolder }, { signal });
  }
  if (name !== "backup") throw new Stop(`there is no benchmark ${name}\n\n${USAGE}`);
  const { restore, scale, keep } = values;
  const request = { mib: whole("mib", values.mib, MIB_MAX), runs, peers: peersOf(values.peers), restore, scale };
  const plan = await planFor(request, cacheFolder);
  for (const step of plan.steps) console.log(`- ${step}`);
  console.log(`- needs ${Math.ceil(plan.diskBytes / 1024 ** 2)} MiB of disk below ${cacheFolder}\n`);
  if (plan.problem !== undefined) throw new Stop(plan.problem);
  if (values["dry-run"]) return undefined;
  return benchBackup(request, plan, { cacheFolder, keep }, { signal });
}

type Values = ReturnType<typeof parse>["values"];

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Stop(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new Stop(`--${name} ${text}: must be a whole number from 1 to ${max}`);
}

function peersOf(text: string) {
  const words = text.split(",").filter((word) => word !== "" && word !== "none");
  return words.map((word) => {
    const peer = PEERS.find((each) => each === word);
    if (peer === undefined) throw new Stop(`--peers ${text}: must be ${PEERS.join(", ")} or none`);
    return peer;
  });
}

function tell(error: unknown): number {
  if (isLifeboatError(error)) {
    console.error(`${error.message} (${error.code})\n${error.remedy}`);
    return error.exit;
  }
  if (error instanceof Stop) {
    console.error(error.message);
    return EXIT.usage;
  }
  console.error(error);
  return EXIT.bug;
}
