import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { findFreePort, isPortFree } from "./free-port.ts";
import { systemRandom } from "./random.ts";

test("a port that was found can be listened on, and is then no longer free", async () => {
  const port = await findFreePort(systemRandom);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  assert.equal(await isPortFree(port), false);
  let asked = 0;
  const stuck = (length: number) => {
    asked += 1;
    const bytes = Buffer.alloc(length);
    bytes.writeUInt32LE(port - 20_000);
    return bytes;
  };
  await assert.rejects(findFreePort(stuck), (error) => isLifeboatError(error, "platform.no-free-port"));
  assert.equal(asked, 40);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await isPortFree(port), true);
});
