import assert from "node:assert/strict";
import { test } from "node:test";
import { leapingClock } from "../../test/support/failover-ports.ts";
import { overseerService } from "./overseer.ts";

test("a supervisor is asked for every ten seconds; that it had to be brought up is told, and once why it could not", async () => {
  const stop = Promise.withResolvers<void>();
  const clock = leapingClock();
  const asked: number[] = [];
  const told: string[] = [];
  const answers = [false, true, false, "no room", "no room", true, "no room"] as const;
  const ensureSupervisor = async (): Promise<boolean> => {
    asked.push(clock.monotonic());
    const answer = answers[asked.length - 1];
    if (asked.length > answers.length) stop.resolve();
    if (typeof answer === "string") throw new Error(answer);
    return answer ?? false;
  };
  const tools = { clock, platform: { ensureSupervisor }, notice: (message: string) => void told.push(message) };
  const service = overseerService(tools, (_service, error) => assert.fail(String(error)));
  await service.start({});
  await stop.promise;
  await service.stop();
  assert.deepEqual(asked.slice(0, 3), [10_000, 20_000, 30_000]);
  assert.deepEqual(
    told.map((each) => each.split(":")[0]),
    [
      "the supervisor had ended",
      "nobody looks after the programs of the stack",
      "the supervisor had ended",
      "nobody looks after the programs of the stack",
    ],
  );
});
