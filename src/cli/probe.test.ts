import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { EXIT } from "../errors/entry.ts";
import type { Clock, Instant, Monotonic } from "../platform/clock.ts";
import { Measurements } from "../probe/measurements.ts";
import type { ReadBack } from "../probe/read-back.ts";
import type { ProbeResult } from "../probe/run.ts";
import type { ProbeChoice, ProbeEngine } from "./probe.ts";
import { runCli } from "./run.ts";

const CLIENT_ID = "00112233445566778899aabbccddeeff";

function at(ms: number): Monotonic {
  return ms as Monotonic;
}

/** Two hundred writes and reads in a second, a fault at half of it, and an answer again after 300 ms. */
function disturbed() {
  const clock: Clock = {
    now: () => Date.UTC(2026, 0, 1, 3) as Instant,
    monotonic: () => at(0),
    sleep: () => Promise.resolve(),
  };
  const seen = new Measurements(clock, CLIENT_ID);
  for (let sequence = 1; sequence <= 200; sequence++) {
    const dueAt = at(sequence * 5);
    if (sequence === 100) seen.mark(dueAt, { label: "kill9" });
    for (const kind of ["write", "read"] as const) {
      seen.arrived(kind);
      const out = sequence > 100 && sequence <= 160;
      const late = out && sequence <= 104;
      const outcome = !out
        ? ({ kind: "ok" } as const)
        : kind === "write" && late
          ? ({ kind: "unknown", reason: "pgb-server-crashed" } as const)
          : ({ kind: "failed", reason: "pgb-login-failing", sent: true } as const);
      seen.ended({ kind, sequence, dueAt, endedAt: at(dueAt + 2), outcome });
    }
  }
  seen.connectFailed("ECONNREFUSED");
  return seen.report(at(1_010));
}

const whole: ReadBack = { acknowledged: 140, present: 140, missing: [], damaged: [], unexpected: [101, 103] };

const sound: ProbeResult = {
  target: { host: "127.0.0.1", port: 5435, user: "buywhere", database: "catalog" },
  load: {
    clientId: CLIENT_ID,
    writesPerSecond: 200,
    readsPerSecond: 200,
    laneCount: 20,
    queueDeadlineMs: 2_000,
    answerDeadlineMs: 2_000,
  },
  synchronousCommit: "on",
  report: disturbed(),
  readBack: whole,
  judgement: { unknownPresent: 2, unknownAbsent: 2, failedPresent: [], strangers: [] },
  ledgerFile: undefined,
};

const lossy: ProbeResult = {
  ...sound,
  synchronousCommit: "off",
  report: { ...sound.report, rowMissingCount: 4 },
  readBack: { ...whole, present: 137, missing: [97, 98], damaged: [12] },
  judgement: { unknownPresent: 2, unknownAbsent: 2, failedPresent: [105], strangers: [9_000] },
  ledgerFile: "/var/lib/lifeboat/probes/x.ledger",
};

async function keeps(golden: string, line: string, probe: ProbeEngine): Promise<number> {
  const people = recordedFrame();
  const status = await runCli(line.split(" "), allVerbs({ probe }), people);
  assert.equal(people.stderr.written(), "");
  matchesGolden(`results/${golden}.txt`, people.stdout.written());
  const programs = recordedFrame();
  assert.equal(await runCli([...line.split(" "), "--json"], allVerbs({ probe }), programs), status);
  matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.stdout.written()), null, 2)}\n`);
  return status;
}

function engine(result: ProbeResult): ProbeEngine {
  return { run: async () => result, readBack: async () => result.readBack };
}

test("a probe tells rates, latencies, the outage after its mark, reasons, and that nothing is lost", async () => {
  assert.equal(await keeps("probe", "probe", engine(sound)), 0);
});

test("lost, changed and odd writes end a probe with status 5, and its evidence is named", async () => {
  assert.equal(await keeps("probe-lost", "probe", engine(lossy)), EXIT.damaged);
});

test("a ledger read back later is judged by what is missing and changed", async () => {
  assert.equal(await keeps("probe-read-back", "probe read-back x", engine(sound)), 0);
  assert.equal(await keeps("probe-read-back-lost", "probe read-back x", engine(lossy)), EXIT.damaged);
});

test("an address given to the inner verb reaches it, though the outer one has the same options", async () => {
  const addresses: unknown[] = [];
  const remember: ProbeEngine = {
    ...engine(sound),
    readBack: async ({ address, ledger }) => {
      addresses.push([address, ledger]);
      return whole;
    },
  };
  const line = "probe read-back --port 6000 /srv/x --user shop --password-file /srv/p";
  assert.equal(await runCli(line.split(" "), allVerbs({ probe: remember }), recordedFrame()), 0);
  const address = { host: undefined, port: 6_000, user: "shop", database: undefined, passwordFile: "/srv/p" };
  assert.deepEqual(addresses, [[address, "/srv/x"]]);
});

test("the load and its limits are given as options, and have the defaults of the client that measured the peers", async () => {
  const choices: ProbeChoice[] = [];
  const remember: ProbeEngine = {
    ...engine(sound),
    run: async ({ choice }) => {
      choices.push(choice);
      return sound;
    },
  };
  const run = (line: string) => runCli(line.split(" "), allVerbs({ probe: remember }), recordedFrame());
  await run("probe");
  await run("probe --rate 50 --reads 0 --lanes 3 --seconds 5 --queue-deadline 5s --answer-deadline 500ms --keep");
  const loads = choices.map(({ rate, reads, lanes, seconds, queueDeadline, answerDeadline, keep }) => [
    ...[rate, reads, lanes, seconds, queueDeadline, answerDeadline],
    keep,
  ]);
  assert.deepEqual(loads, [
    [200, 200, 20, 60, 2_000, 2_000, false],
    [50, 0, 3, 5, 5_000, 500, true],
  ]);
  assert.equal(await run("probe --rate -1"), EXIT.usage);
});
