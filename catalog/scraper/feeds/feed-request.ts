/** One request for a feed, by the network that it may use. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { checkedLookup, isPrivateLiteral, type Network, PrivateAddress } from "../../../src/platform/public-address.ts";

/** What a server answered. */
export type FeedAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Whether the address that answered is one of the public internet. */
  readonly isPublic: boolean;
  /** Whether it tells where the body ends: by a length, by its pieces, or by a compression. */
  readonly endIsTold: boolean;
  /** The body as it was before the server compressed it for the way. Can be gone through once; stopping early breaks it off. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Breaks it off. */
  readonly cancel: () => void;
};

/**
 * Asks once; a redirect is an answer. With `mustBePublic` no other address is connected to, whatever the name led to before:
 * rejects with PrivateAddress. Rejects as node:http does, too, and when the signal aborts; so may reading on.
 */
export async function requestFeed(
  address: URL,
  how: {
    readonly headers: Readonly<Record<string, string>>;
    readonly network: Network;
    readonly mustBePublic: boolean;
    readonly signal: AbortSignal;
  },
): Promise<FeedAnswer> {
  const { headers, network, mustBePublic, signal } = how;
  if (mustBePublic && isPrivateLiteral(address.hostname, network)) throw new PrivateAddress(address.hostname);
  const lookup: LookupFunction = mustBePublic ? checkedLookup(network) : network.lookup;
  const begin = address.protocol === "https:" ? httpsRequest : httpRequest;
  // No connection is used twice: each is made to an address that was checked for it.
  const request = begin(address, {
    headers: { ...headers, "accept-encoding": "gzip, deflate, br" },
    agent: false,
    lookup,
    signal,
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.on("error", reject);
    request.end();
  });
  // Who reads is told by reading; who does not, wants to know nothing.
  response.on("error", () => undefined);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    isPublic: network.isPublic(response.socket.remoteAddress ?? ""),
    endIsTold: tellsItsEnd(response.headers),
    chunks: decoded(response),
    cancel: () => response.destroy(),
  };
}

function tellsItsEnd(headers: IncomingHttpHeaders): boolean {
  const chunked = headers["transfer-encoding"]?.toLowerCase().includes("chunked") ?? false;
  return headers["content-length"] !== undefined || chunked || decoderOf(headers["content-encoding"]) !== undefined;
}

function decoded(response: IncomingMessage): AsyncIterable<Uint8Array> {
  const decoder = decoderOf(response.headers["content-encoding"]);
  if (decoder === undefined) return response;
  // What fails on the way fails the reading of the decoder.
  pipeline(response, decoder, () => undefined);
  return decoder;
}

function decoderOf(encoding: string | undefined): Duplex | undefined {
  switch (encoding?.trim().toLowerCase()) {
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
    default:
      return undefined;
  }
}
