import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import { connectsWithNewestPassword } from "./changed-password.ts";

test("who connects again after the password was changed logs in with the new one, and is refused where there is none", async () => {
  await using server = await startServer();
  const setPassword = async (password: string): Promise<void> => {
    await server.query(`ALTER ROLE streamer PASSWORD '${password}'`);
  };
  await server.query("CREATE ROLE streamer LOGIN REPLICATION");
  await setPassword("first");
  let password = "first";
  let reads = 0;
  const addressNow = () => server.server.address({ user: "streamer", password, over: "tcp" });
  const connect = connectsWithNewestPassword<void>(async () => {
    reads += 1;
    return addressNow();
  }, addressNow());
  const connected = () => connect(async (address) => await (await openReplication(address, {})).close());
  await connected();
  assert.equal(reads, 0);
  await setPassword("second");
  await assert.rejects(connected(), (error) => isLifeboatError(error, "postgres.login-refused"));
  password = "second";
  await connected();
  await connected();
  assert.equal(reads, 2);
  await server.stop();
  await assert.rejects(connected(), (error) => !isLifeboatError(error, "postgres.login-refused"));
  assert.equal(reads, 2);
});
