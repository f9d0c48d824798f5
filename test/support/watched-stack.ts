/** A stack with its daemon, while a client writes through its pooler and things happen: what every such test looks at. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { askDaemon } from "../../src/daemon/ask.ts";
import { type CheckReport, parseCheckReport } from "../../src/daemon/check-report.ts";
import type { EventReport } from "../../src/daemon/report.ts";
import { isLifeboatError } from "../../src/errors/error.ts";
import type { ProbeReport } from "../../src/probe/measurements.ts";
import { judgeUnexpected, readBack } from "../../src/probe/read-back.ts";
import { daemonSocketOf } from "../../src/stack/daemon-config.ts";
import { forAWhile, type RealStack } from "./real-stack.ts";
import { eventually } from "./receivers.ts";
import { PORTS } from "./servers.ts";

const WRITES_PER_SECOND = 100;
/** Some writes before and after what is done. */
const A_WHILE_MS = 1_000;

/** It looks for up to ten seconds until it is sure. */
const SILENT_MS = 30_000;

/** The stack. */
export class WatchedStack {
  readonly one: RealStack;
  /** For ledgers. */
  readonly folder: string;
  readonly #socket: string | undefined;

  /** `socket`: of the daemon that is asked, where it is not the stack's own. */
  constructor(one: RealStack, folder: string, socket?: string) {
    this.one = one;
    this.folder = folder;
    this.#socket = socket;
  }

  /** What is known and decided; undefined while no daemon answers, or a lease store on a busy machine gives the daemon no answer. */
  async look(): Promise<CheckReport | undefined> {
    const socket = this.#socket ?? daemonSocketOf(await this.one.stack());
    const asked = await askDaemon(socket, { call: "check", follow: false }, { silentMs: SILENT_MS }).catch(
      (error: unknown) => {
        if (!isLifeboatError(error, "daemon.no-answer") && !isLifeboatError(error, "lease.store-failed")) throw error;
        return undefined;
      },
    );
    return asked === undefined ? undefined : parseCheckReport(asked.result);
  }

  /** The same by the command line, which ends with this status. */
  async check(status: number): Promise<CheckReport> {
    return (await this.one.cli.json("failover --check-only", { status })) as CheckReport;
  }

  /** Waits until the other node is a replica that may take over, and clients are served. */
  async whole(): Promise<CheckReport> {
    return await eventually("the stack is whole", async () => {
      const report = await this.look();
      if (report?.state !== "healthy" || report.reasons.length > 0 || report.action !== null) return false;
      const isServed = report.poolers.every(({ mode, target }) => mode === "serving" && target === report.primary);
      return isServed && report.nodes.filter(({ candidate }) => candidate).length === 1 && report;
    });
  }

  /**
   * Does something while a client writes through the pooler. Every acknowledged write is then read back, and the others are held
   * against what the client was told: what failed is not there, and nothing is that was never written.
   */
  async underWrites(name: string, act: () => Promise<void>): Promise<ProbeReport["writes"]> {
    const ledgerFile = path.join(this.folder, `${name}.ledger`);
    const { ports } = await this.one.stack();
    const probe = await this.one.probe(ledgerFile, WRITES_PER_SECOND, ports.pgbouncer);
    try {
      await forAWhile(A_WHILE_MS);
      await act();
      await forAWhile(A_WHILE_MS);
      const report = await probe.stop({});
      const connect = { ...(await this.one.application()), port: ports.pgbouncer, applicationName: "read_back" };
      const back = await readBack(PORTS.files, { connect, ledgerFile });
      assert.deepEqual([back.missing, back.damaged], [[], []], `${name}: acknowledged writes are there`);
      const { failedPresent, strangers } = judgeUnexpected(back, report);
      assert.deepEqual([failedPresent, strangers], [[], []], `${name}: what failed is not there`);
      assert.ok(back.acknowledged > WRITES_PER_SECOND / 2, `${name}: ${back.acknowledged} writes were acknowledged`);
      return report.writes;
    } finally {
      await probe.kill();
    }
  }

  /** The report of the last event. */
  async lastReport(): Promise<EventReport> {
    const { place } = await this.one.stack();
    const reports = path.join(place.controller, "reports");
    const names = (await readdir(reports)).filter((each) => each.endsWith(".json")).toSorted();
    return JSON.parse(await readFile(path.join(reports, names.at(-1) ?? ""), "utf8")) as EventReport;
  }
}
