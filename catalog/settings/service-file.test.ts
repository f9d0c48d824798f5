import assert from "node:assert/strict";
import { test } from "node:test";
import type { Files } from "../../src/platform/files.ts";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { readSecret, readServiceFile, secretInFile } from "./service-file.ts";

const GOOD = {
  format: "lifeboat-catalog-service",
  version: 1,
  database: { host: "127.0.0.1", port: 5435, name: "catalog", user: "buywhere", passwordFile: "/s/application" },
};

async function read(text: string) {
  const { files } = memoryFiles();
  await write(files, "/service.json", text);
  return await readServiceFile(files, "/service.json");
}

async function write(files: Files, file: string, text: string): Promise<void> {
  const handle = await files.open(file, "create");
  await handle.write(Buffer.from(text), 0);
  await handle.close();
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

test("an empty file holds no secret: a program does not start with it, and goes on with what it had", async () => {
  const { files } = memoryFiles();
  for (const [file, text] of Object.entries({ "/none": "", "/line": "\n", "/blank": " \r\n" })) {
    await write(files, file, text);
    const refused = { code: "catalog.settings-invalid", message: new RegExp(`^${file} `) };
    await assert.rejects(readSecret(files, file), refused);
    await assert.rejects(secretInFile(files, file), refused);
  }
  await write(files, "/password", "sesame\n");
  const password = await secretInFile(files, "/password");
  await files.remove("/password");
  await write(files, "/password", "");
  assert.deepEqual([password.first, await password.now()], ["sesame", "sesame"]);
});
