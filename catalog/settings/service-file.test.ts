import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { readServiceFile } from "./service-file.ts";

const GOOD = {
  format: "lifeboat-catalog-service",
  version: 1,
  database: { host: "127.0.0.1", port: 5435, name: "catalog", user: "buywhere", passwordFile: "/s/application" },
};

async function read(text: string) {
  const { files } = memoryFiles();
  const handle = await files.open("/service.json", "create");
  await handle.write(Buffer.from(text), 0);
  await handle.close();
  return await readServiceFile(files, "/service.json");
}

test("a service file says where everything is, and all that is wrong with one is told at once", async () => {
  assert.deepEqual(await read(JSON.stringify(GOOD)), {
    ...GOOD,
    database: { ...GOOD.database, prepares: false },
    trustedProxies: [],
    privateWebhooks: false,
  });
  const wrong = { ...GOOD, database: { ...GOOD.database, port: 0 }, colour: "red" };
  await assert.rejects(read(JSON.stringify(wrong)), { code: "catalog.settings-invalid", message: /port.*colour/s });
  await assert.rejects(read(JSON.stringify({ ...GOOD, trustedProxies: ["10.0.0.0/33"] })), {
    code: "catalog.settings-invalid",
    message: /trustedProxies.0: is no network/,
  });
  const feed = { name: "harbour", format: "csv", location: "file:h.csv", interval_s: 60 };
  await assert.rejects(read(JSON.stringify({ ...GOOD, scraper: { sources: [feed, { ...feed, interval_s: 90 }] } })), {
    code: "catalog.settings-invalid",
    message: /scraper.sources: two sources have one name/,
  });
  await assert.rejects(read("{"), { code: "catalog.settings-invalid", message: /no JSON/ });
});
