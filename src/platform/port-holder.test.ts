import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { holderOfPort } from "./port-holder.ts";

for (const host of ["127.0.0.1", "::1"]) {
  test(`who listens on a port of ${host} is told by its process, and nobody once it has closed`, async () => {
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.listen(0, host, resolve).on("error", reject));
    const address = server.address();
    assert(typeof address === "object" && address !== null);
    const holder = await holderOfPort(address.port);
    assert.equal(holder?.pid, process.pid);
    assert.equal(holder?.name, "node");
    await new Promise((resolve) => server.close(resolve));
    assert.equal(await holderOfPort(address.port), undefined);
  });
}
