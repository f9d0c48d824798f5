/** The probe of the command line. */
import path from "node:path";
import { createInterface } from "node:readline";
import type { Config } from "../config/schema.ts";
import { readSecretFile } from "../config/secrets.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { type Control, parseControl } from "../probe/control.ts";
import { readBack } from "../probe/read-back.ts";
import { type ProbeControls, runProbe } from "../probe/run.ts";
import { startedSecrets } from "../stack/primary.ts";
import { secretTools } from "./compose.ts";
import { MACHINE } from "./engine-machine.ts";
import { configuredStack } from "./engine-stack.ts";
import { usageError } from "./failure.ts";
import type { ProbeAddress, ProbeEngine } from "./probe.ts";
import { programPaths } from "./program-paths.ts";
import type { Session } from "./verb.ts";

/** As long as an operation waits for an answer: a pooler that is there answers at once. */
const CONNECT_TIMEOUT_MS = 2_000;

type Call = { readonly config: Config; readonly session: Session };

/** What the verbs do. */
export const probeEngine: ProbeEngine = {
  run: async ({ config, session, address, choice }) => {
    if (choice.rate + choice.reads === 0) throw usageError("--rate and --reads are both 0", "Give one of them a rate.");
    const connect = await connectOptions({ config, session }, address);
    const { node, probe: entry } = programPaths();
    const clientId = MACHINE.random(16).toString("hex");
    const ledgerFile = choice.ledger ?? (await newLedgerFile(config, clientId));
    const { seconds, keep } = choice;
    const load = {
      writesPerSecond: choice.rate,
      readsPerSecond: choice.reads,
      laneCount: choice.lanes,
      queueDeadlineMs: choice.queueDeadline,
      answerDeadlineMs: choice.answerDeadline,
    };
    let stopListening = () => {};
    try {
      return await runProbe(
        { ...MACHINE, clock: session.clock, node, entry },
        {
          probe: { ...load, connect, clientId },
          ledgerFile,
          seconds,
          keep,
          signal: session.signal,
          onRunning: (controls) => {
            session.notice(`the load runs; ledger ${ledgerFile}`);
            stopListening = listen(controls, session.notice);
          },
          onLeft: ({ message, code }) => session.notice(`the probe's rows could not be removed: ${message} (${code})`),
          onReport: ({ startedMs, atMs, writes, reads }) =>
            session.progress.report({
              phase: `${writes.failedCount + reads.failedCount} failed, ${writes.unknownCount} unknown`,
              done: Math.min(seconds, Math.round((atMs - startedMs) / 1_000)),
              total: seconds,
              unit: "seconds",
            }),
        },
      );
    } finally {
      stopListening();
    }
  },
  readBack: async ({ config, session, address, ledger }) =>
    readBack(MACHINE.files, {
      connect: await connectOptions({ config, session }, address),
      ledgerFile: ledger,
      signal: session.signal,
    }),
};

/** Lines of standard input. Not of a terminal: a job in the background would be halted for reading there. */
function listen(controls: ProbeControls, notice: (text: string) => void): () => void {
  if (process.stdin.isTTY) return () => {};
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => carryOut(parseControl(line), controls, notice));
  return () => lines.close();
}

function carryOut(control: Control, { mark, stop }: ProbeControls, notice: (text: string) => void): void {
  switch (control.kind) {
    case "mark":
      mark(control.label, control.atMs);
      notice(`marked: ${control.label}`);
      return;
    case "stop":
      stop();
      return;
    case "unknown":
      notice(`not understood: ${control.line}; known are \`fault [LABEL [SECONDS]]\` and \`stop\``);
      return;
  }
}

async function newLedgerFile(config: Config, clientId: string): Promise<string> {
  const folder = path.join(config.folders.state, "probes");
  await MACHINE.files.makeFolder(folder);
  return path.join(folder, `${clientId}.ledger`);
}

async function connectOptions(call: Call, address: ProbeAddress): Promise<ConnectOptions> {
  const stack = await configuredStack(call.config);
  const { host = "127.0.0.1", port = stack.ports.pgbouncer, database = stack.database } = address;
  return {
    host,
    port,
    database,
    ...(await login(call, address)),
    tls: { mode: "disable" },
    applicationName: "lifeboat_probe",
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  };
}

async function login(call: Call, { user, passwordFile }: ProbeAddress) {
  if (user === undefined) {
    const stack = await configuredStack(call.config);
    const { application } = await startedSecrets(MACHINE.files, stack);
    return { user: stack.applicationRole, password: application };
  }
  if (passwordFile === undefined) return { user };
  return {
    user,
    password: await readSecretFile(passwordFile, "the role's password", await secretTools(call, "known")),
  };
}
