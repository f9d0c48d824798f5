/** Answers what a supervisor is asked over its Unix socket. */
import net from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Files } from "../files.ts";
import { refuseForeignPlace } from "./local-platform.ts";
import { type Answer, answerLine, failureLine, parseRequest, type Request } from "./protocol.ts";
import { specOf } from "./record.ts";
import type { Supervisor } from "./supervisor.ts";

/** A socket that is listened to; close it. */
export type ControlServer = {
  /** Listens anew where the socket was removed, as whoever tidies a folder of sockets does; does nothing where it is there. */
  renew(): Promise<void>;
  close(): Promise<void>;
};

/** A component's whole environment goes over it; a line of which the end never comes must not be kept. */
const LINE_BYTES_MAX = 1024 * 1024;

/**
 * Listens. The socket lies in a folder that only its owner can enter, and whoever can is believed: a supervisor runs what it
 * is told to. `onEnd` is called after the last component was stopped on request and the answer is out.
 */
export async function serveControl(
  files: Pick<Files, "stat" | "makeFolder">,
  { folder, socket, supervisor, onEnd }: ControlRequest,
): Promise<ControlServer> {
  let server = await listen(socket, supervisor, onEnd);
  return {
    renew: async () => {
      if ((await files.stat(socket)) !== undefined) return;
      await files.makeFolder(path.dirname(socket), 0o700);
      await refuseForeignPlace(files, folder);
      // First: closing removes whatever has the socket's name. Who is being answered is answered all the same.
      server.close();
      server = await listen(socket, supervisor, onEnd);
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** What is served, and where. */
export type ControlRequest = {
  /** The supervisor's. */
  readonly folder: string;
  readonly socket: string;
  readonly supervisor: Supervisor;
  readonly onEnd: () => void;
};

async function listen(socket: string, supervisor: Supervisor, onEnd: () => void): Promise<net.Server> {
  const server = net.createServer((connection) => {
    connection.on("error", () => connection.destroy());
    const gone = new AbortController();
    connection.on("close", () => gone.abort());
    let bytes = 0;
    connection.on("data", (data) => {
      bytes += data.byteLength;
      if (bytes > LINE_BYTES_MAX) connection.destroy();
    });
    const lines = createInterface({ input: connection });
    // It tells the connection's errors once more: who asked was killed before the answer came, and nobody else may end by that.
    lines.on("error", () => undefined);
    lines.on("line", (line) => {
      void answer(supervisor, line, gone.signal).then(({ text, ended }) => {
        connection.end(text, () => {
          if (ended) onEnd();
        });
        // Who asked may be gone.
        if (connection.destroyed && ended) onEnd();
      });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, () => resolve());
  });
  return server;
}

async function answer(
  supervisor: Supervisor,
  line: string,
  gone: AbortSignal,
): Promise<{ readonly text: string; readonly ended: boolean }> {
  try {
    const request = parseRequest(line);
    return { text: answerLine(await carryOut(supervisor, request, gone)), ended: request.call === "end" };
  } catch (error) {
    return { text: failureLine(error), ended: false };
  }
}

async function carryOut(supervisor: Supervisor, request: Request, gone: AbortSignal): Promise<Answer> {
  switch (request.call) {
    case "hello":
      return { pid: process.pid };
    case "start":
      await supervisor.start(specOf(request.spec), request);
      return {};
    case "stop":
      return await supervisor.stop(request.name, request);
    case "fence":
      return { fence: await supervisor.fence(request.name, request) };
    case "unfence":
      await supervisor.unfence(request.name, request);
      return {};
    case "kill":
    case "freeze":
    case "thaw":
    case "restart":
      await supervisor[request.call](request.name);
      return {};
    case "exec":
      return { executed: await supervisor.exec(request, gone) };
    case "state":
      return { components: supervisor.state() };
    case "end":
      await supervisor.end();
      return {};
  }
}
