/** Where a witness is asked: a Unix socket of the receiver's process, which only its owner can use. */
import { createHash } from "node:crypto";
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import { makeFolderDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import { serveLines } from "../platform/line-server.ts";
import { lsnDistance } from "../postgres/lsn.ts";
import { SOCKET_PATH_BYTES_MAX } from "../postgres/server.ts";
import { termsOf } from "../wal/mandate.ts";
import type { OpenReceiver } from "../wal/receiver.ts";
import {
  bytesLine,
  digestLine,
  failureLine,
  parseRequest,
  READ_BYTES_MAX,
  statusLine,
  type WitnessRequest,
  withdrawalLine,
} from "./protocol.ts";
import { Witness } from "./witness.ts";

/** The socket of a spool's receiver: in the spool, or beside it all where that path is too long for a socket. */
export function controlSocket(spool: string): string {
  const inside = path.join(spool, "control.sock");
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  const short = createHash("sha256").update(spool).digest("hex").slice(0, 12);
  return path.join("/tmp", `lifeboat-receiver-${short}`, "control.sock");
}

/** Answers questions about a receiver, and decisions for it, until closed. For `ReceiverTools.govern`. */
export async function governBySocket(
  tools: { readonly files: Files; readonly uid: number | undefined },
  spool: string,
  receiver: OpenReceiver,
): Promise<{ close(): Promise<void> }> {
  const { files, uid } = tools;
  const socket = controlSocket(spool);
  await makeFolderDurable(files, path.dirname(socket));
  // The spool belongs to whom it belongs to; a folder below /tmp could be anybody's.
  const shared = path.dirname(socket) !== spool;
  if (shared) await refuseSharedFolder(files, path.dirname(socket), uid);
  const witness = new Witness(receiver);
  const server = await serveLines(files, socket, (line) => answer(witness, line));
  return {
    close: async () => {
      await server.close();
      await witness.close();
      if (shared) await files.removeTree(path.dirname(socket));
      else await files.remove(socket);
    },
  };
}

/** Whoever may write to the folder could put a socket of its own there. */
async function refuseSharedFolder(files: Files, folder: string, uid: number | undefined): Promise<void> {
  const facts = await files.stat(folder);
  if (facts?.kind === "folder" && facts.uid === uid && (facts.mode & 0o022) === 0) return;
  throw new LifeboatError("wal.spool-shared", {
    message: `others than this user can write to ${folder}, where the receiver is to be asked`,
    remedy: `Give the folder to the receiver's user alone: chmod 700 ${folder}.`,
  });
}

async function answer(witness: Witness, line: string): Promise<string> {
  try {
    return await carryOut(witness, parseRequest(line));
  } catch (error) {
    return failureLine(error);
  }
}

async function carryOut(witness: Witness, request: WitnessRequest): Promise<string> {
  switch (request.call) {
    case "status":
      return statusLine(witness.status());
    case "withdraw":
      return withdrawalLine(await witness.withdraw(request.epoch));
    case "follow":
      return statusLine(await witness.follow(termsOf(request)));
    case "grant": {
      const { epoch, reign, duration, contiguousWith } = request;
      const grant = { epoch, reign, duration: duration ?? undefined, contiguousWith: contiguousWith ?? undefined };
      return statusLine(await witness.grant(grant));
    }
    case "read":
      if (lsnDistance(request) > READ_BYTES_MAX)
        throw new RangeError(`at most ${READ_BYTES_MAX} bytes are read at once`);
      return bytesLine(await witness.read(request.epoch, request));
    case "digest":
      return digestLine(await witness.digest(request.epoch, request));
  }
}
