/** One call of a webhook. */
import { createHmac } from "node:crypto";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { errorText } from "../../src/errors/error-text.ts";
import { checkedLookup, isPrivateLiteral, PrivateAddress } from "../../src/platform/public-address.ts";

/** A call that is not answered by then has failed. */
export const CALL_TIMEOUT_MS = 5_000;

/** What is told, and to whom. */
export type Delivery = {
  readonly id: number;
  readonly url: string;
  readonly secret: string;
  readonly payload: unknown;
};

/** What came of it: `answer` is the status, or why there is none. */
export type Told = { readonly isDone: boolean; readonly answer: string };

/** Calls it once, signed. Redirects are not followed, and unless allowed a private address is not connected to. Never rejects. */
export async function callWebhook(
  { id, url, secret, payload }: Delivery,
  { allowPrivate }: { readonly allowPrivate: boolean },
): Promise<Told> {
  const body = JSON.stringify(payload);
  const headers = {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "x-lifeboat-delivery": String(id),
    "x-lifeboat-signature": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
  };
  try {
    const to = new URL(url);
    if (!allowPrivate && isPrivateLiteral(to.hostname)) throw new PrivateAddress(to.hostname);
    const begin = to.protocol === "https:" ? httpsRequest : httpRequest;
    const call = begin(to, {
      method: "POST",
      headers,
      agent: false,
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      ...(allowPrivate ? {} : { lookup: checkedLookup() }),
    });
    const status = await statusOf(call, body);
    return { isDone: status >= 200 && status < 300, answer: String(status) };
  } catch (error) {
    return { isDone: false, answer: errorText(error) };
  }
}

/** The body of the answer is nobody's concern. */
async function statusOf(call: ClientRequest, body: string): Promise<number> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    call.once("response", resolve);
    call.on("error", reject);
    call.end(body);
  });
  response.on("error", () => undefined);
  response.destroy();
  return response.statusCode ?? 0;
}
