import assert from "node:assert/strict";
import { test } from "node:test";
import { errorText } from "../errors/error-text.ts";
import { loopService, type Service, ServiceGroup } from "./service.ts";

function recorded(name: string, log: string[], fails: "start" | "stop" | "never" = "never"): Service {
  return {
    name,
    start: async () => {
      log.push(`start ${name}`);
      if (fails === "start") throw new Error(`${name} does not start`);
    },
    stop: async () => {
      log.push(`stop ${name}`);
      if (fails === "stop") throw new Error(`${name} does not stop`);
    },
  };
}

test("a group starts in order, stops in reverse, and both may be called again", async () => {
  const log: string[] = [];
  const group = new ServiceGroup("all", [recorded("a", log), recorded("b", log)]);
  await group.stop();
  await Promise.all([group.start({}), group.start({})]);
  await Promise.all([group.stop(), group.stop()]);
  assert.deepEqual(log, ["start a", "start b", "stop b", "stop a"]);
  await group.start({});
  await group.stop();
  assert.equal(log.length, 8);
});

test("where one does not start, those before it are stopped and those after it never started", async () => {
  const log: string[] = [];
  const group = new ServiceGroup("all", [recorded("a", log), recorded("b", log, "start"), recorded("c", log)]);
  await assert.rejects(group.start({}), /b does not start/);
  assert.deepEqual(log, ["start a", "start b", "stop a"]);
  await group.stop();
  assert.equal(log.length, 3);
});

test("where one does not stop, the others are stopped all the same", async () => {
  const log: string[] = [];
  const group = new ServiceGroup("all", [recorded("a", log), recorded("b", log, "stop")]);
  await group.start({});
  await assert.rejects(group.stop(), /b does not stop/);
  assert.deepEqual(log.slice(2), ["stop b", "stop a"]);
});

test("a loop runs until it is stopped, and stopping waits for its end", async () => {
  const log: string[] = [];
  const loop = loopService(
    "loop",
    async (signal) => {
      log.push("began");
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      await new Promise((resolve) => setImmediate(resolve));
      log.push("ended");
    },
    () => log.push("failed"),
  );
  await loop.stop();
  await loop.start({});
  await loop.start({});
  await loop.stop();
  await loop.stop();
  assert.deepEqual(log, ["began", "ended"]);
});

test("a loop that ends by itself, or by an error, is told of", async () => {
  const told: string[] = [];
  const failed = (service: string, error: unknown): void => {
    told.push(`${service}: ${errorText(error)}`);
  };
  const early = loopService("early", async () => undefined, failed);
  const broken = loopService("broken", () => Promise.reject(new Error("a bug")), failed);
  await early.start({});
  await broken.start({});
  await early.stop();
  await broken.stop();
  assert.deepEqual(told, ["early: early ended by itself", "broken: a bug"]);
});
