/**
 * The probe as a process of its own: requests on standard input, answers on standard output.
 *
 * Invariants: only who started it ends it, by `stop` or by closing its standard input, which his death does as well; an
 * interrupt from the terminal reaches him too, who then decides; the report outlives a starter that no longer reads.
 */
import { createInterface } from "node:readline";
import { assert, isLifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { LedgerWriter } from "./ledger.ts";
import type { ProbeReport } from "./measurements.ts";
import { Probe } from "./probe.ts";
import { type ProbeAnswer, type ProbeRequest, parseRequest } from "./protocol.ts";

let probe: Probe | undefined;

process.on("SIGINT", () => undefined);
// Who started us is gone: his end of standard input is closed too, and that ends us.
process.stdout.on("error", () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const request = parseRequest(line);
  answer(await answerTo(request));
  if (request.kind === "stop") break;
}
await probe?.stop();
process.stdin.destroy();

async function answerTo(request: ProbeRequest): Promise<ProbeAnswer> {
  try {
    return { kind: "done", id: request.id, report: await carryOut(request) };
  } catch (error) {
    const code = isLifeboatError(error) ? error.code : "platform.assertion-failed";
    return { kind: "refused", id: request.id, code, message: errorText(error) };
  }
}

async function carryOut(request: ProbeRequest): Promise<ProbeReport> {
  if (request.kind === "start") {
    assert(probe === undefined, "the probe is started once");
    const { clientId } = request.probe;
    const ledger = await LedgerWriter.create(systemFiles, { file: request.ledgerFile, clientId });
    probe = new Probe(systemClock, ledger, request.probe);
    return probe.report();
  }
  assert(probe !== undefined, "the probe is started first");
  switch (request.kind) {
    case "mark":
      probe.mark(request);
      break;
    case "reconnect":
      probe.reconnectTo({ host: request.host, port: request.port });
      break;
    case "stop":
      return await probe.stop();
    case "status":
      break;
  }
  return probe.report();
}

function answer(message: ProbeAnswer): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
