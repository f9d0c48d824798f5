import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { TestEtcd } from "../../../test/support/etcd.ts";
import { withListener } from "../../../test/support/listener.ts";
import { eventually } from "../../../test/support/receivers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { systemClock } from "../../platform/clock.ts";
import { type LeasesUnderTest, testLeaseConformance } from "../conformance/conformance.ts";
import { Lease, NO_EPOCH } from "../lease.ts";
import { type EtcdLeasePlace, etcdLeaseStore } from "./etcd-lease.ts";

const CLAIM = { holder: "a", floor: NO_EPOCH };

let etcd: TestEtcd;
before(async () => {
  etcd = await TestEtcd.start();
});
after(() => etcd[Symbol.asyncDispose]());

let prefixes = 0;

function place(changes: Partial<EtcdLeasePlace> = {}): EtcdLeasePlace {
  prefixes += 1;
  const prefix = `/lifeboat/test-${prefixes}`;
  return { endpoints: [etcd.endpoint], timeoutMs: 5_000, fetch, prefix, ttlSeconds: 1, ...changes };
}

async function openEtcd(): Promise<LeasesUnderTest> {
  const ours = place();
  return {
    claimant: () => ({ store: etcdLeaseStore(ours), clock: systemClock, crash: () => undefined }),
    pass: (durationMs) => systemClock.sleep(durationMs, {}),
    takeover: "after-term",
    expires: true,
    restart: async () => {
      await etcd.kill();
      await etcd.begin();
    },
    close: async () => undefined,
  };
}

testLeaseConformance("leases in etcd", openEtcd, { rounds: 60 });

test("a process that is halted past its deadline finds out before it acts, though another holds by then", async () => {
  const ours = place();
  const child = spawn(process.execPath, ["--input-type=module", "-e", childCode(ours)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const said: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => said.push(...text.trim().split("\n")));
  try {
    await eventually("the child acts", async () => said.includes("acted"));
    child.kill("SIGSTOP");
    const lease = await eventually("the halted child's term ends", async () => {
      const answer = await Lease.claim({ clock: systemClock, store: etcdLeaseStore(ours) }, CLAIM, {});
      return answer.kind === "holder" && answer.lease;
    });
    assert.equal(lease.epoch, 2);
    said.length = 0;
    child.kill("SIGCONT");
    await eventually("the child looks again", async () => said.length > 0);
    assert.deepEqual([...new Set(said)], ["lease.lost"]);
    await lease.end();
  } finally {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
});

test("where etcd is away or halted nobody holds, and an endpoint that is away is passed over", async () => {
  const own = await TestEtcd.start();
  await using _ended = own;
  const dead = "http://127.0.0.1:1";
  const ours = place({ endpoints: [dead, own.endpoint], timeoutMs: 300 });
  const answer = await Lease.claim({ clock: systemClock, store: etcdLeaseStore(ours) }, CLAIM, {});
  assert.ok(answer.kind === "holder");
  await answer.lease.renew({});
  answer.lease.check();
  own.halt();
  await eventually("the deadline passes", async () => {
    await answer.lease.renew({});
    return !answer.lease.holds();
  });
  assert.ok(!answer.lease.isLost);
  const other = Lease.claim({ clock: systemClock, store: etcdLeaseStore(ours) }, CLAIM, {});
  await assert.rejects(other, (error) => isLifeboatError(error, "lease.store-failed"));
});

test("something else that listens there, and answers that are none, are no grant", async () => {
  for (const answer of ["not json", "{}", '{"succeeded":true}', '{"code":14,"message":"unavailable"}']) {
    await withListener(
      (socket) =>
        socket.on("data", () =>
          socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\nConnection: close\r\n\r\n${answer}`),
        ),
      async (port) => {
        const store = etcdLeaseStore(place({ endpoints: [`http://127.0.0.1:${port}`] }));
        await assert.rejects(
          Lease.claim({ clock: systemClock, store }, CLAIM, {}),
          (error) => isLifeboatError(error, "lease.store-failed"),
          answer,
        );
      },
    );
  }
});

test("an epoch that was changed by hand to something else is refused", async () => {
  const ours = place();
  const put = { key: encode(`${ours.prefix}/epoch`), value: encode("many") };
  await fetch(`${etcd.endpoint}/v3/kv/put`, { method: "POST", body: JSON.stringify(put) });
  await assert.rejects(Lease.claim({ clock: systemClock, store: etcdLeaseStore(ours) }, CLAIM, {}), (error) =>
    isLifeboatError(error, "lease.record-damaged"),
  );
});

test("a holder whose key was removed by hand has lost it at its next renewal", async () => {
  const ours = place();
  const answer = await Lease.claim({ clock: systemClock, store: etcdLeaseStore(ours) }, CLAIM, {});
  assert.ok(answer.kind === "holder");
  const body = JSON.stringify({ key: encode(`${ours.prefix}/holder`) });
  await fetch(`${etcd.endpoint}/v3/kv/deleterange`, { method: "POST", body });
  await answer.lease.renew({});
  assert.ok(answer.lease.isLost);
});

test("a claim whose answer was lost at one endpoint and is asked again at another is granted once", async () => {
  // The first endpoint is a relay that hands the swap on and loses its answer.
  let lost = 0;
  const lossy: typeof fetch = async (url, request) => {
    const target = String(url).replace("http://lossy", etcd.endpoint);
    const response = await fetch(target, request);
    const swaps = String(request?.body).includes("request_put");
    if (!String(url).startsWith("http://lossy") || !swaps) return response;
    lost += 1;
    throw new Error("the answer was lost");
  };
  const ours = place({ endpoints: ["http://lossy", etcd.endpoint], fetch: lossy });
  const answer = await Lease.claim({ clock: systemClock, store: etcdLeaseStore(ours) }, CLAIM, {});
  assert.equal(lost, 1);
  assert.ok(answer.kind === "holder" && answer.lease.epoch === 1);
  await answer.lease.renew({});
  answer.lease.check();
});

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** Renews and acts every 50 ms for as long as it may, and says so; afterwards it says why not. */
function childCode({ endpoints, prefix, ttlSeconds, timeoutMs }: EtcdLeasePlace): string {
  const from = (file: string): string => JSON.stringify(import.meta.resolve(file));
  return `
    const { Lease, NO_EPOCH } = await import(${from("../lease.ts")});
    const { etcdLeaseStore } = await import(${from("./etcd-lease.ts")});
    const { systemClock: clock } = await import(${from("../../platform/clock.ts")});
    const store = etcdLeaseStore({ ...${JSON.stringify({ endpoints, prefix, ttlSeconds, timeoutMs })}, fetch });
    const { lease } = await Lease.claim({ clock, store }, { holder: "the child", floor: NO_EPOCH }, {});
    void lease.keep({ signal: new AbortController().signal });
    setInterval(() => {
      try {
        lease.check();
        console.log("acted");
      } catch (error) {
        console.log(error.code);
      }
    }, 50);`;
}
