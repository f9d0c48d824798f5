/**
 * What other programs answer and what lies in small files of the machine, given nearly right: it is read, or refused with an
 * error that is no bug.
 */
import assert from "node:assert/strict";
import { parseReloads, parseStats } from "../../src/balancer/ask.ts";
import { parseInvariants } from "../../src/config/invariants-file.ts";
import { resolveSettings } from "../../src/config/resolve.ts";
import { readConfigText } from "../../src/config/yaml-file.ts";
import { parseAnswerLine, parseRequest } from "../../src/daemon/protocol.ts";
import { describedDurability } from "../../src/durability/record.ts";
import { etcdLeaseStore } from "../../src/lease/etcd/etcd-lease.ts";
import { etcdRegister } from "../../src/lease/etcd/etcd-register.ts";
import { fileLeaseStore } from "../../src/lease/file/file-lease.ts";
import { fileRegister } from "../../src/lease/file/file-register.ts";
import { NO_EPOCH } from "../../src/lease/lease.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { readRecord } from "../../src/platform/local/record.ts";
import { memoryFiles } from "../../src/platform/memory-files.ts";
import { readHold } from "../../src/pooler/hold-file.ts";
import { LedgerWriter, readLedger } from "../../src/probe/ledger.ts";
import { readPorts } from "../../src/stack/ports.ts";
import { openVault } from "../../src/vault/vault.ts";
import { readUnreadable } from "../../src/wal/unreadable.ts";
import { readWalked } from "../../src/wal/walked.ts";
import { goldenTools, loadGolden } from "../golden/load-golden.ts";
import { GOLDEN_IDENTITY } from "../golden/make-delta-vault.ts";
import { DEAR, fuzz, fuzzFile } from "../support/fuzzing.ts";
import { FREE_LOCKS } from "../support/power-cuts.ts";

// --- The balancer -----------------------------------------------------------------------------------------------------

const stats =
  "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight\n" +
  "front,api-1,0,0,3,9,,120,4000,9000,,0,,0,0,0,0,UP,1\nread,replica,0,0,0,1,,7,40,90,,0,,0,0,0,0,DOWN,1\n\n";
fuzz("the servers of a balancer", [Buffer.from(stats)], (bytes) => {
  for (const { sessions } of parseStats(bytes.toString("utf8"), "/run/balancer")) {
    assert.ok(Number.isSafeInteger(sessions) && sessions >= 0, String(sessions));
  }
});
const processes =
  "#<PID>          <type>          <reloads>       <uptime>        <version>       \n" +
  "4242            parent          2 [failed: 0]   0d00h00m05s     2.6.12          \n# workers\n";
fuzz("the processes of a balancer", [Buffer.from(processes)], (bytes) => {
  const { reloadCount, failedCount } = parseReloads(bytes.toString("utf8"), "/run/balancer");
  assert.ok(reloadCount >= 0 && failedCount >= 0);
});

// --- etcd -------------------------------------------------------------------------------------------------------------

const encode = (text: string): string => Buffer.from(text).toString("base64");
const entry = (value: string): string =>
  `{"response_range":{"kvs":[{"key":"aw==","value":"${encode(value)}","mod_revision":"7","lease":"0"}],"count":"1"}}`;
const place = { endpoints: ["http://etcd"], timeoutMs: 5_000 };

/** Answers as etcd does where nobody holds a lease yet; one of the answers is the given one. */
function answering(path: string, turn: number, given: Buffer): typeof fetch {
  let seen = 0;
  return async (url) => {
    const at = String(url).replace("http://etcd/v3/", "");
    if (at === path) seen += 1;
    return new Response(at === path && seen === turn ? Uint8Array.from(given) : USUAL.get(at));
  };
}

const free = `{"responses":[{"response_range":{}},${entry("41")}]}`;
const swapped = `{"succeeded":true,"responses":[{"response_put":{}},{"response_put":{}},${entry('{"holder":"a","epoch":42}')}]}`;
const USUAL: ReadonlyMap<string, string> = new Map([
  ["kv/txn", swapped],
  ["lease/grant", '{"header":{"revision":"9"},"ID":"7587848943239472641","TTL":"10"}'],
  ["lease/keepalive", '{"result":{"ID":"7587848943239472641","TTL":"10"}}'],
  ["lease/revoke", "{}"],
]);
const claim = { holder: "a", floor: NO_EPOCH };
const leases = (path: string, turn: number, bytes: Buffer) =>
  etcdLeaseStore({ ...place, prefix: "/lifeboat", ttlSeconds: 10, fetch: answering(path, turn, bytes) });

fuzz(
  "what etcd says of holder and epoch",
  [Buffer.from(free)],
  async (bytes) => {
    const answer = await leases("kv/txn", 1, bytes).claim(claim, {});
    if (answer.kind === "granted") assert.ok(Number.isSafeInteger(answer.epoch) && answer.epoch > 0);
  },
  DEAR,
);
fuzz(
  "what etcd says of a new lease",
  [Buffer.from(USUAL.get("lease/grant") ?? "")],
  async (bytes) => {
    const first = answering("kv/txn", 1, Buffer.from(free));
    const grant = answering("lease/grant", 1, bytes);
    const both: typeof fetch = (url, request) => (String(url).endsWith("grant") ? grant : first)(url, request);
    const store = etcdLeaseStore({ ...place, prefix: "/lifeboat", ttlSeconds: 10, fetch: both });
    const answer = await store.claim(claim, {});
    if (answer.kind === "granted") assert.ok(answer.term.durationMs > 0, String(answer.term.durationMs));
  },
  DEAR,
);
fuzz(
  "what etcd says of a renewal",
  [Buffer.from('{"result":{"ID":"7587848943239472641","TTL":"10"}}')],
  async (bytes) => {
    const first = answering("kv/txn", 1, Buffer.from(free));
    const later = answering("lease/keepalive", 1, bytes);
    let begun = false;
    const both: typeof fetch = (url, request) => {
      const asked = begun ? later : first;
      if (String(url).endsWith("keepalive")) return later(url, request);
      return asked(url, request);
    };
    const store = etcdLeaseStore({ ...place, prefix: "/lifeboat", ttlSeconds: 10, fetch: both });
    const answer = await store.claim(claim, {});
    assert.ok(answer.kind === "granted");
    begun = true;
    assert.match(await answer.term.renew({}), /^(renewed|lost)$/);
  },
  DEAR,
);
fuzz(
  "a register in etcd",
  [Buffer.from(`{"responses":[${entry('{"version":3,"epoch":2,"value":{"primary":"a"}}')}]}`)],
  async (bytes) => {
    await etcdRegister({ ...place, fetch: answering("kv/txn", 1, bytes) }, "/lifeboat/record").read({});
  },
  DEAR,
);

// --- The daemon's lines -----------------------------------------------------------------------------------------------

fuzz("a question to the daemon", [Buffer.from('{"call":"switchover","to":"db-2","dryRun":true}')], (bytes) =>
  parseRequest(bytes.toString("utf8")),
);
fuzz("a line of a daemon's answer", [Buffer.from('{"part":{"kind":"hold","reason":"lease-live"}}')], (bytes) =>
  parseAnswerLine(bytes.toString("utf8")),
);

// --- Small files ------------------------------------------------------------------------------------------------------

fuzzFile(
  "a hold of a pooler",
  "a.hold",
  '{"format":"lifeboat-pooler-hold","version":1,"epoch":3,"turn":1,"holdMs":5000,"pausedAt":17}',
  readHold,
);
fuzzFile(
  "what was chosen of durability",
  "durability.json",
  '{"format":"lifeboat-durability","version":1,"mode":"quorum","chosenAt":"2026-11-23T08:00:00.000Z"}',
  (files, file) => describedDurability(files, file, "async"),
);
fuzzFile(
  "the ports of a stack",
  "ports.json",
  '{"format":"lifeboat-stack-ports","version":1,"ports":{"front":5400,"pgbouncer":5435,"db":5432,"dbReplica":5433,"reads":5436,"redis":6379}}',
  (files, file) => readPorts(files, file),
);
fuzzFile(
  "the record of a supervisor",
  "components.json",
  '{"format":"lifeboat-supervisor","version":1,"epoch":3,"components":{}}',
  (files) => readRecord(files, "/state"),
);
fuzzFile(
  "the last epoch in a file",
  "epoch.json",
  '{"format":"lifeboat-epoch","version":1,"epoch":7,"holder":"a","grantedAt":"2026-11-23T08:00:00.000Z"}',
  async (files) => {
    const store = fileLeaseStore({ files, locks: FREE_LOCKS, clock: systemClock }, "/state");
    const answer = await store.claim(claim, {});
    if (answer.kind === "granted") assert.ok(Number.isSafeInteger(answer.epoch) && answer.epoch > 0);
  },
);
fuzzFile(
  "a register in a file",
  "record.json",
  '{"format":"lifeboat-record","version":1,"revision":3,"epoch":2,"value":{"primary":"a"}}',
  (files, file) => fileRegister({ files, locks: FREE_LOCKS }, file).read({}),
);
fuzzFile(
  "what a receiver walked",
  "walked.json",
  '{"format":"lifeboat-walked","version":3,"vaultId":"a","systemId":"7000","timeline":1,"from":"0/28","to":"0/FFAD0","last":"0/FBBE0","changes":[],"copies":["0/A0"],"copiesFrom":"0/28"}',
  (files) => readWalked(files, "/state"),
);
fuzzFile(
  "WAL that does not read on",
  "unreadable.json",
  '{"format":"lifeboat-unreadable","version":1,"stretches":[{"systemId":"7000","timeline":1,"from":"0/28","to":"0/FFAD0","reason":"bad-link","noticedAt":"2026-11-22T11:00:00.000Z"}]}',
  (files) => readUnreadable(files, "/state"),
);

const settings = [
  "server: { host: 127.0.0.1, port: 5432, tls: verify-full, connectTimeout: 10s }",
  "vault:\n  path: ~/vault\n  encryption: on",
  "receiver:\n  slot: lifeboat_vault\n  statusInterval: 1s500ms",
  "backup:\n  maxRate: 64MiB\n  nice: 10\n  checkpoint: fast",
  "retention: { hourly: 24, grace: 1d12h }",
  "stack:\n  name: shop\n  api: 127.0.0.1:8101,127.0.0.1:8102\n  trustedProxies: 10.0.0.0/8,fd00::/8\n  sharedBuffers: 128MiB",
  "pooler:\n  consoles: 127.0.0.1:6432,/run/pgbouncer:6432",
  "",
].join("\n");
const home = "/home/alice";
fuzz("a configuration file", [Buffer.from(settings)], (bytes) => {
  const file = { ...readConfigText(bytes.toString("utf8"), "lifeboat.yaml"), folder: home };
  const place = { uid: 1000, home, stateHome: `${home}/s`, dataHome: `${home}/d`, configHome: `${home}/c` };
  const { rows, problems } = resolveSettings({ file, environment: {}, flags: {}, place, workingFolder: home });
  // What is written is used, or told as a problem; a value that is used is one of its kind.
  for (const { path, value, shown } of rows) {
    assert.ok(!(typeof value === "number") || Number.isFinite(value), path);
    assert.ok(shown === undefined || !shown.includes("\n"), path);
  }
  if (bytes.equals(Buffer.from(settings))) assert.deepEqual(problems, []);
});
fuzz(
  "a file of invariants",
  [Buffer.from("- name: no orphans\n  database: shop\n  noRows: SELECT 1 WHERE false\n")],
  (bytes) => parseInvariants(bytes.toString("utf8"), "invariants.yaml"),
);

const ledgerFiles = memoryFiles().files;
await ledgerFiles.makeFolder("/state");
const clientId = "0123456789abcdef0123456789abcdef";
const ledger = await LedgerWriter.create(ledgerFiles, { file: "/state/ledger", clientId });
for (const sequence of [1, 2, 3]) {
  await ledger.append({ sequence, acknowledgedAt: systemClock.now(), checksum: Buffer.alloc(16, sequence) });
}
await ledger.close();
fuzzFile("a ledger", "ledger", await ledgerFiles.readFile("/state/ledger"), async (files, file) => {
  const { records } = await readLedger(files, file);
  assert.ok(records.length <= 6);
});

const PIN = "# lifeboat-vault 8955fa5a6bbd9696932ceb03fbb52bde b45e3eddad78df3cdf1e99959ff29dce";
const golden = await goldenTools(loadGolden("vault-1-delta"));
fuzz(
  "an age identity file",
  [Buffer.from(`# created: today\n${GOLDEN_IDENTITY}\n${PIN}\n`)],
  async (bytes) => {
    const vault = await openVault(golden, { kind: "identity", identities: bytes.toString("utf8") }, {});
    assert.deepEqual(vault.dataKeys.size, 2);
  },
  DEAR,
);
