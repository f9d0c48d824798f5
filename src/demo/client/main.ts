/**
 * The client as a process of its own: requests on standard input, answers on standard output.
 *
 * Invariants: only the demo ends it, by `stop` or by closing its standard input, which the death of the demo does as well;
 * an interrupt from the terminal reaches the demo too, which then decides; the report outlives a demo that no longer reads.
 */
import { createInterface } from "node:readline";
import { assert, isLifeboatError } from "../../errors/error.ts";
import { systemClock } from "../../platform/clock.ts";
import { systemFiles } from "../../platform/files.ts";
import { OpenLoopClient } from "./client.ts";
import { LedgerWriter } from "./ledger.ts";
import type { ClientReport } from "./measurements.ts";
import { type ClientAnswer, type ClientRequest, parseRequest } from "./protocol.ts";

let client: OpenLoopClient | undefined;

process.on("SIGINT", () => undefined);
// The demo is gone: its end of standard input is closed too, and that ends us.
process.stdout.on("error", () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const request = parseRequest(line);
  answer(await answerTo(request));
  if (request.kind === "stop") break;
}
await client?.stop();
process.stdin.destroy();

async function answerTo(request: ClientRequest): Promise<ClientAnswer> {
  try {
    return { kind: "done", id: request.id, report: await carryOut(request) };
  } catch (error) {
    const code = isLifeboatError(error) ? error.code : "platform.assertion-failed";
    return { kind: "refused", id: request.id, code, message: error instanceof Error ? error.message : String(error) };
  }
}

async function carryOut(request: ClientRequest): Promise<ClientReport> {
  if (request.kind === "start") {
    assert(client === undefined, "the client is started once");
    const { clientId } = request.client;
    const ledger = await LedgerWriter.create(systemFiles, { file: request.ledgerFile, clientId });
    client = new OpenLoopClient(systemClock, ledger, request.client);
    return client.report();
  }
  assert(client !== undefined, "the client is started first");
  switch (request.kind) {
    case "mark":
      client.mark();
      break;
    case "reconnect":
      client.reconnectTo({ host: request.host, port: request.port });
      break;
    case "stop":
      return await client.stop();
    case "status":
      break;
  }
  return client.report();
}

function answer(message: ClientAnswer): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
