/**
 * Benchmarks: `npm run bench -- backup | delta | during | failover | receive | repoint | scale | service | service-failover`.
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
import { errorText } from "../src/errors/error-text.ts";
import { benchBackup, planFor } from "./backup.ts";
import { BACKUP_PEERS } from "./backup-plan.ts";
import { benchDelta, planDeltaFor } from "./delta.ts";
import { CHAIN_PEERS } from "./delta-plan.ts";
import { benchDuring, planDuringFor } from "./during.ts";
import { benchFailover } from "./failover.ts";
import { DURABILITIES, FAULTS } from "./failover-plan.ts";
import { loadAverage, Stop } from "./machine.ts";
import type { BenchPlan } from "./plan.ts";
import { benchReceive } from "./receive.ts";
import { benchRepoint, POOLERS } from "./repoint.ts";
import { provenance, type Report } from "./report.ts";
import { benchScale, planScaleFor } from "./scale.ts";
import { OBJECT_COUNTS_DEFAULT, SIZES_MIB_DEFAULT } from "./scale-plan.ts";
import { benchService } from "./service.ts";
import { benchServiceFailover } from "./service-failover.ts";
import { SERVICE_FAULTS } from "./service-failover-plan.ts";
import { SERVICE_PARTS } from "./service-plan.ts";
import { cacheFolderDefault } from "./workload.ts";

const FAULT_NAMES = FAULTS.map(({ name }) => name);

const SERVICE_FAULT_NAMES = SERVICE_FAULTS.map(({ name }) => name);

const USAGE = `npm run bench -- backup [options]     full backups beside the peers'
  --mib N            size of the database (default 2048; made once, 3 minutes, and kept)
  --runs N           rounds (default 3)
  --peers A,B        ${BACKUP_PEERS.join(",")} (default all), or none
  --restore          restore each backup and start the server too
  --scale            Lifeboat also with a quarter of the data: does its memory grow?
  --keep             leave the last backups until the next benchmark
  --dry-run          say what would be installed and made, and how much disk it takes

npm run bench -- delta [options]      backups of what changed, and restores from them, beside pgBackRest's
  --mib N            as above
  --backups N        in a row (default 10): a full one, --runs without a change, the others after 1 % changed
  --runs N           how often whatever can be repeated on one chain of backups is (default 3)
  --peers A,B        ${CHAIN_PEERS.join(",")} (default pgbackrest-block), or none
  --keep             leave the chain until the next benchmark
  --kept             only restore, from the chain that was left: a minute a round
  --dry-run          as above

npm run bench -- during [options]     what clients wait for while the server is backed up
  --mib N            as above
  --runs N           rounds (default 3)
  --seconds N        of load in each (default 20); should be longer than a backup
  --peers A,B        ${CHAIN_PEERS.join(",")} (default pgbackrest), or none
  --dry-run          as above

npm run bench -- failover [options]   what clients get while parts of a stack are killed, frozen and moved
  --faults A,B       ${FAULT_NAMES.join(",")}
                     (default all)
  --runs N           of each fault (default 3)
  --rate N           writes a second, and reads (default 200)
  --durability MODE  ${DURABILITIES.join(", ")} (default quorum)
  --mib N            of products in the database, in the vault's backup too (default none); diverged needs it
  --fresh            begin anew; otherwise runs of the same commit are kept and only missing ones are made

npm run bench -- receive [options]    what a commit waits for a receiver, beside pg_receivewal
  --runs N           rounds (default 3)
  --seconds N        of load in each (default 10)

npm run bench -- repoint [options]    what clients notice when a pooler is led to another server
  --loops N          guarded: pause, hold, repoint, resume (default 400, some 3 minutes)
  --others N         the same with PAUSE after a look for logins in flight, and with PAUSE alone (default 0)
  --pooler NAME      ${POOLERS.join(" or ")}: Debian 13's is fetched and kept, not installed (default installed)

npm run bench -- scale [options]      time and memory against the size of the database and the objects of the vault
  --sizes A,B        in MiB (default ${SIZES_MIB_DEFAULT.join(",")}), or none
  --objects A,B      of simulated vaults (default ${OBJECT_COUNTS_DEFAULT.join(",")}), or none
  --runs N           of each (default 1)
  --dry-run          as above

npm run bench -- service [options]    the catalogue's API beside FastAPI, searching, mistyped words
  --offers N         in the catalogue (default 100000)
  --runs N           rounds (default 3)
  --seconds N        of load in each (default 10); searches take half a minute at least
  --rate N           searches a second (default 50)
  --peers fastapi    installs Debian's packages (default), or none
  --parts A,B        ${SERVICE_PARTS.join(",")} (default all)

npm run bench -- service-failover [options]   what callers of the API get while the database moves and parts are killed
  --faults A,B       ${SERVICE_FAULT_NAMES.join(",")} (default all)
  --runs N           of each fault (default 3)
  --fresh            as of failover

  --folder FOLDER    where to work and to keep what was made (default ${cacheFolderDefault(process.env)})
  --json FILE        write everything that was measured there as well
Goals that are missed are told; they do not change the exit status.`;

/** Above this, others are at work, and figures say little. */
const QUIET_LOAD_MAX = 0.5;
const MIB_MAX = 1024 * 1024;
const RUNS_MAX = 100;
const SECONDS_MAX = 3600;
const RATE_MAX = 10_000;
const LOOPS_MAX = 100_000;
/** More names than this do not fit into memory. */
const OFFERS_MAX = 10_000_000;
const OBJECTS_MAX = 10_000_000;

const OPTIONS = {
  mib: { type: "string" },
  runs: { type: "string" },
  backups: { type: "string" },
  peers: { type: "string" },
  restore: { type: "boolean" },
  scale: { type: "boolean" },
  keep: { type: "boolean" },
  kept: { type: "boolean" },
  "dry-run": { type: "boolean" },
  seconds: { type: "string" },
  faults: { type: "string" },
  rate: { type: "string" },
  durability: { type: "string" },
  fresh: { type: "boolean" },
  loops: { type: "string" },
  others: { type: "string" },
  pooler: { type: "string" },
  sizes: { type: "string" },
  objects: { type: "string" },
  offers: { type: "string" },
  parts: { type: "string" },
  folder: { type: "string" },
  json: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

type OptionName = keyof typeof OPTIONS;
type Values = ReturnType<typeof parse>["values"];

/** A benchmark: the options that it takes besides --folder and --json, and what it does. */
type Benchmark = {
  readonly options: readonly OptionName[];
  readonly run: (values: Values, cacheFolder: string, signal: AbortSignal) => Promise<Report | undefined>;
};

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  backup: {
    options: ["mib", "runs", "peers", "restore", "scale", "keep", "dry-run"],
    run: async (values, cacheFolder, signal) => {
      const { restore = false, scale = false, keep = false } = values;
      const peers = peersOf(values.peers, BACKUP_PEERS, BACKUP_PEERS);
      const request = { mib: mibOf(values), runs: runsOf(values, 3), peers, restore, scale };
      const plan = await planFor(request, cacheFolder);
      if (!agree(plan, values, cacheFolder)) return undefined;
      return benchBackup(request, plan, { cacheFolder, keep }, { signal });
    },
  },
  delta: {
    options: ["mib", "runs", "backups", "peers", "keep", "kept", "dry-run"],
    run: async (values, cacheFolder, signal) => {
      const peers = peersOf(values.peers, CHAIN_PEERS, ["pgbackrest-block"]);
      const backups = whole("backups", values.backups ?? "10", RUNS_MAX);
      const chain = values.kept === true ? "kept" : values.keep === true ? "keep" : "whole";
      const request = { mib: mibOf(values), runs: runsOf(values, 3), backups, peers, chain } as const;
      const plan = await planDeltaFor(request, cacheFolder);
      return agree(plan, values, cacheFolder) ? benchDelta(request, cacheFolder, { signal }) : undefined;
    },
  },
  during: {
    options: ["mib", "runs", "seconds", "peers", "dry-run"],
    run: async (values, cacheFolder, signal) => {
      const peers = peersOf(values.peers, CHAIN_PEERS, ["pgbackrest"]);
      const request = { mib: mibOf(values), runs: runsOf(values, 3), seconds: secondsOf(values, 20), peers };
      const plan = await planDuringFor(request, cacheFolder);
      return agree(plan, values, cacheFolder) ? benchDuring(request, cacheFolder, { signal }) : undefined;
    },
  },
  failover: {
    options: ["faults", "runs", "rate", "durability", "mib", "fresh"],
    run: (values, cacheFolder, signal) => {
      const mib = values.mib === undefined ? 0 : mibOf(values);
      const otherwise = FAULT_NAMES.filter((name) => mib > 0 || name !== "diverged");
      const faults = listOf("faults", values.faults, { known: FAULT_NAMES, otherwise });
      if (faults.includes("diverged") && mib === 0) throw new Stop("diverged needs rows that diverge: give --mib");
      if (faults.includes("disk") && process.getuid?.() !== 0) {
        throw new Stop("only root can make a disk and hold it up: leave disk out of --faults");
      }
      const [durability = "quorum"] = listOf("durability", values.durability, { known: DURABILITIES, otherwise: [] });
      const ratePerSecond = whole("rate", values.rate ?? "200", RATE_MAX);
      const request = { faults, runs: runsOf(values, 3), ratePerSecond, durability, mib };
      return benchFailover(request, { cacheFolder, fresh: values.fresh === true }, { signal });
    },
  },
  "service-failover": {
    options: ["faults", "runs", "fresh"],
    run: (values, cacheFolder, signal) => {
      const known = { known: SERVICE_FAULT_NAMES, otherwise: SERVICE_FAULT_NAMES };
      const request = { faults: listOf("faults", values.faults, known), runs: runsOf(values, 3) };
      return benchServiceFailover(request, { cacheFolder, fresh: values.fresh === true }, { signal });
    },
  },
  receive: {
    options: ["runs", "seconds"],
    run: (values, cacheFolder, signal) =>
      benchReceive({ runs: runsOf(values, 3), seconds: secondsOf(values, 10), cacheFolder }, { signal }),
  },
  repoint: {
    options: ["loops", "others", "pooler"],
    run: (values, cacheFolder, signal) => {
      const loops = whole("loops", values.loops ?? "400", LOOPS_MAX);
      const others = values.others === undefined ? 0 : whole("others", values.others, LOOPS_MAX);
      const [pooler = "installed"] = listOf("pooler", values.pooler, { known: POOLERS, otherwise: [] });
      return benchRepoint({ loops, others, pooler, cacheFolder }, { signal });
    },
  },
  scale: {
    options: ["sizes", "objects", "runs", "dry-run"],
    run: async (values, cacheFolder, signal) => {
      const sizesMib = numbersOf("sizes", values.sizes, { otherwise: SIZES_MIB_DEFAULT, max: MIB_MAX });
      const objectCounts = numbersOf("objects", values.objects, { otherwise: OBJECT_COUNTS_DEFAULT, max: OBJECTS_MAX });
      const request = { sizesMib, objectCounts, runs: runsOf(values, 1) };
      const plan = await planScaleFor(request, cacheFolder);
      return agree(plan, values, cacheFolder) ? benchScale(request, cacheFolder, { signal }) : undefined;
    },
  },
  service: {
    options: ["offers", "runs", "seconds", "rate", "peers", "parts"],
    run: (values, cacheFolder, signal) => {
      const request = {
        offers: whole("offers", values.offers ?? "100000", OFFERS_MAX),
        runs: runsOf(values, 3),
        seconds: secondsOf(values, 10),
        ratePerSecond: whole("rate", values.rate ?? "50", RATE_MAX),
        peer: peersOf(values.peers, ["fastapi"], ["fastapi"]).length > 0,
        parts: listOf("parts", values.parts, { known: SERVICE_PARTS, otherwise: SERVICE_PARTS }),
      };
      return benchService(request, cacheFolder, { signal });
    },
  },
};

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
  const [name = "", ...more] = positionals;
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) throw new Stop(`there is no benchmark ${name}\n\n${USAGE}`);
  if (more.length > 0) throw new Stop(`${more.join(" ")}: only one benchmark runs at a time\n\n${USAGE}`);
  for (const option of Object.keys(values)) {
    const known = ["folder", "json", ...benchmark.options];
    if (!known.includes(option)) throw new Stop(`bench ${name} has no option --${option}\n\n${USAGE}`);
  }
  const cacheFolder = values.folder ?? cacheFolderDefault(process.env);
  if (!cacheFolder.startsWith("/")) throw new Stop(`--folder ${cacheFolder}: must be an absolute path`);
  const load = loadAverage();
  if (load > QUIET_LOAD_MAX) console.log(`the machine is busy (load ${load.toFixed(1)}): trust ratios, not seconds`);
  const report = await benchmark.run(values, cacheFolder, signal);
  if (report === undefined) return 0;
  console.log(`\n${report.text}`);
  if (values.json !== undefined) {
    const data = { ...(await provenance(load)), ...report.data };
    await writeFile(values.json, `${JSON.stringify(data, undefined, 2)}\n`);
  }
  return 0;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Stop(`${errorText(error)}\n\n${USAGE}`);
  }
}

/** Says what a plan will do; false when that is all that was asked for. Throws `Stop` when it cannot be done. */
function agree(plan: BenchPlan, values: Values, cacheFolder: string): boolean {
  for (const step of plan.steps) console.log(`- ${step}`);
  console.log(`- needs ${Math.ceil(plan.diskBytes / 1024 ** 2)} MiB of disk below ${cacheFolder}\n`);
  if (plan.problem !== undefined) throw new Stop(plan.problem);
  return values["dry-run"] !== true;
}

function mibOf({ mib }: Values): number {
  return whole("mib", mib ?? "2048", MIB_MAX);
}

function runsOf({ runs }: Values, otherwise: number): number {
  return whole("runs", runs ?? String(otherwise), RUNS_MAX);
}

function secondsOf({ seconds }: Values, otherwise: number): number {
  return whole("seconds", seconds ?? String(otherwise), SECONDS_MAX);
}

function whole(name: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new Stop(`--${name} ${text}: must be a whole number from 1 to ${max}`);
}

function numbersOf(
  name: string,
  text: string | undefined,
  of: { readonly otherwise: readonly number[]; readonly max: number },
): readonly number[] {
  if (text === undefined) return of.otherwise;
  return text === "none" ? [] : text.split(",").map((each) => whole(name, each, of.max));
}

function peersOf<Peer extends string>(
  text: string | undefined,
  known: readonly Peer[],
  otherwise: readonly Peer[],
): readonly Peer[] {
  return listOf("peers", text === "none" ? "" : text, { known, otherwise, or: " or none" });
}

function listOf<Word extends string>(
  option: string,
  text: string | undefined,
  words: { readonly known: readonly Word[]; readonly otherwise: readonly Word[]; readonly or?: string },
): readonly Word[] {
  const { known, otherwise, or = "" } = words;
  if (text === undefined) return otherwise;
  return text
    .split(",")
    .filter((word) => word !== "")
    .map((given) => {
      const word = known.find((each) => each === given);
      if (word === undefined) throw new Stop(`--${option} ${text}: must be ${known.join(", ")}${or}`);
      return word;
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
