import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { type RecordedFrame, recordedFrame, recordedSink } from "../../test/support/recorded-frame.ts";
import { text } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import { LifeboatError } from "../errors/error.ts";
import { abortedError } from "../platform/clock.ts";
import { daemonVerb } from "./daemon.ts";
import { runCli } from "./run.ts";
import { defineVerb, optional, type Session, toggle, type Verb, type VerbResult } from "./verb.ts";

/** A verb `try` that does what the test says. */
function tryVerb(run: (session: Session, options: object) => Promise<VerbResult>): readonly Verb[] {
  const verb = defineVerb({
    path: ["try"],
    summary: "Try",
    description: "Try.",
    arguments: {},
    options: { label: optional(text("TEXT"), "A label."), really: toggle("Really.") },
    configuration: { kind: "checked", sections: ["server"] },
    examples: [{ line: "lifeboat try", does: "Tries." }],
    run: ({ session, options }) => run(session, options),
  });
  return [verb];
}

async function failing(
  error: unknown,
  args: readonly string[] = [],
): Promise<{ status: number; frame: RecordedFrame }> {
  const frame = recordedFrame();
  const status = await runCli(
    ["try", ...args],
    tryVerb(() => Promise.reject(error)),
    frame,
  );
  return { status, frame };
}

const wrongKey = new LifeboatError("vault.wrong-key", {
  message: "the passphrase does not open vault disk:/v\u001b[2J",
  remedy: "Check the passphrase file.",
  details: { wraps: 2 },
  cause: new Error("tag mismatch"),
});

test("a result goes to stdout as text, or as one line of JSON with --json before or after the verb", async () => {
  const verbs = tryVerb(async () => ({ json: { answer: 42, lsn: 0x3000060n }, text: "the answer is 42", exit: 7 }));
  const people = recordedFrame();
  assert.equal(await runCli(["try"], verbs, people), 7);
  assert.equal(people.stdout.written(), "the answer is 42\n");
  for (const args of [
    ["try", "--json"],
    ["--json", "try"],
  ]) {
    const frame = recordedFrame();
    assert.equal(await runCli(args, verbs, frame), 7);
    assert.equal(frame.stdout.written(), '{"answer":42,"lsn":"0/3000060"}\n');
    assert.equal(frame.stderr.written(), "");
  }
});

test("what tells without end is stopped when nobody reads it any more, everything else goes on", async () => {
  const unread = AbortSignal.abort();
  for (const [goesOn, aborted] of [
    [() => true, true],
    [() => false, false],
    [undefined, false],
  ] as const) {
    let seen: boolean | undefined;
    const [verb] = tryVerb(async ({ signal }) => {
      seen = signal.aborted;
      return { json: null, text: "", exit: 7 };
    });
    assert.ok(verb !== undefined);
    const verbs = goesOn === undefined ? [verb] : [{ ...verb, goesOn }];
    assert.equal(await runCli(["try"], verbs, recordedFrame({ unread })), 7);
    assert.equal(seen, aborted);
  }
});

test("those that tell without end are known", () => {
  const goOn = (options: object) =>
    allVerbs().flatMap((verb) => (verb.goesOn?.({ ...options }) ? [verb.path.join(" ")] : []));
  assert.deepEqual(goOn({ follow: true, once: false }), ["logs", "replication", "failover"]);
  assert.deepEqual(goOn({ follow: false, once: true }), []);
});

test("a command line that cannot be understood is told whose help to read, whatever stands before the verb", async () => {
  for (const [line, help] of [
    ["--config x.yaml status --nonsense", "lifeboat status --help"],
    ["backup hold x", "lifeboat backup hold --help"],
    ["backup --nonsense", "lifeboat backup --help"],
    ["wal nonsense", "lifeboat wal --help"],
    ["nonsense", "lifeboat --help"],
  ] as const) {
    const frame = recordedFrame();
    assert.equal(await runCli(line.split(" "), allVerbs(), frame), EXIT.usage);
    assert.ok(frame.stderr.written().includes(`See \`${help}\`.`), `${line}: ${frame.stderr.written()}`);
  }
});

test("options are handed over typed, an absent one as undefined, a toggle as false", async () => {
  const seen: object[] = [];
  const verbs = tryVerb(async (_, options) => {
    seen.push(options);
    return { json: null, text: "" };
  });
  await runCli(["try"], verbs, recordedFrame());
  await runCli(["try", "--really", "--label", "x"], verbs, recordedFrame());
  assert.deepEqual(seen, [
    { label: undefined, really: false },
    { label: "x", really: true },
  ]);
});

test("a mistake of the operator is told by message, remedy and code, harmless for a terminal, without a stack", async () => {
  const { status, frame } = await failing(wrongKey);
  assert.equal(status, EXIT.refused);
  assert.equal(frame.stdout.written(), "");
  matchesGolden("failure/operator.txt", frame.stderr.written());
  const verbose = await failing(wrongKey, ["--verbose"]);
  matchesGolden("failure/operator-verbose.txt", verbose.frame.stderr.written());
});

test("with --json an error is one line of JSON on stderr", async () => {
  const { frame } = await failing(wrongKey, ["--json"]);
  assert.equal(frame.stdout.written(), "");
  matchesGolden("failure/operator.json", frame.stderr.written());
});

test("several gathered failures are all told, and the first of them gives the status", async () => {
  const full = new LifeboatError("platform.disk-full", { message: "no space on /v", remedy: "Free some." });
  const { status, frame } = await failing(new AggregateError([full, wrongKey]));
  assert.equal(status, EXIT.world);
  matchesGolden("failure/several.txt", frame.stderr.written());
});

test("what is not an error of ours is a bug: status 70 and a stack", async () => {
  const { status, frame } = await failing(new TypeError("x is undefined"));
  assert.equal(status, EXIT.bug);
  assert.match(frame.stderr.written(), /^error: unexpected failure: x is undefined\n/);
  assert.match(frame.stderr.written(), /code: platform\.assertion-failed\nTypeError: x is undefined\n +at /);
});

test("a verb that ends because of the signal gives status 130", async () => {
  const { status } = await failing(abortedError("copying"));
  assert.equal(status, EXIT.interrupted);
});

test("an unknown command or option is told with the one that was probably meant", async () => {
  const verbs = allVerbs();
  const cases = [
    ["backpu", "error: unknown command 'backpu'\nremedy: Did you mean backup?\n"],
    ["backup --lable x", "error: unknown option '--lable'\nremedy: Did you mean --label?\n"],
    ["vault chek", "error: unknown command 'chek'\nremedy: Did you mean check?\n"],
    ["restore", "error: required option '--target <DIR>' not specified\nremedy: See `lifeboat restore --help`.\n"],
    [
      "wal get x --mode standby --mode",
      "error: option '--mode <restore|standby>' argument missing\nremedy: See `lifeboat wal get --help`.\n",
    ],
    [
      "backups now",
      "error: too many arguments for 'backups'. Expected 0 arguments but got 1: now\nremedy: See `lifeboat backups --help`.\n",
    ],
  ] as const;
  for (const [line, said] of cases) {
    const frame = recordedFrame();
    await runCli(line.split(" "), verbs, frame);
    assert.equal(frame.stderr.written(), `${said}code: config.usage\n`);
  }
});

test("a command line that cannot be understood is told as JSON where it asks for JSON", async () => {
  const frame = recordedFrame();
  assert.equal(await runCli(["backup", "--nothing", "--json"], allVerbs(), frame), EXIT.usage);
  assert.equal(JSON.parse(frame.stderr.written()).error.code, "config.usage");
});

test("no command at all shows the help on stderr and is a mistake", async () => {
  const frame = recordedFrame();
  assert.equal(await runCli([], allVerbs(), frame), EXIT.usage);
  assert.match(frame.stderr.written(), /^Usage: lifeboat/);
});

test("the version is printed by a flag", async () => {
  const frame = recordedFrame();
  assert.equal(await runCli(["--version", "--json"], allVerbs(), frame), 0);
  assert.equal(frame.stdout.written(), "1.2.3\n");
});

test("all values that are not accepted are told at once", async () => {
  const frame = recordedFrame();
  const args = ["restore", "--target", "/t", "--port", "0", "--to-time", "yesterday", "--to", "now"];
  assert.equal(await runCli(args, allVerbs(), frame), EXIT.usage);
  matchesGolden("failure/values.txt", frame.stderr.written());
});

test("mistakes in the configuration end a command before it does anything, all of them listed", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-run-"));
  try {
    await writeFile(path.join(folder, "bad.yaml"), "server:\n  port: 0\n  hots: db\nvault:\n  passphrase: hunter2\n");
    let ran = false;
    const verbs = tryVerb(async () => {
      ran = true;
      return { json: null, text: "" };
    });
    const frame = recordedFrame({ workingFolder: folder, environment: { LIFEBOAT_RESTORE_BOOT_TIMEOUT: "soon" } });
    assert.equal(await runCli(["try", "--config", "bad.yaml", "--server-tls", "maybe"], verbs, frame), EXIT.usage);
    assert.equal(ran, false);
    matchesGolden("failure/configuration.txt", frame.stderr.written());
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a webhook that can never be told ends a command, but the daemon says so and watches without it", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-run-"));
  try {
    await writeFile(path.join(folder, "old.yaml"), "failover:\n  webhook: hooks.example.com/TOKEN\n");
    const webhooks: unknown[] = [];
    const daemon = daemonVerb(async ({ config }) => void webhooks.push(config.failover.webhook));
    const run = async (words: readonly string[]) => {
      const frame = recordedFrame({ workingFolder: folder });
      const status = await runCli([...words, "--config", "old.yaml"], [daemon, ...tryVerb(nothing)], frame);
      return { status, said: frame.stderr.written() };
    };
    const nothing = async () => ({ json: null, text: "" });
    assert.equal((await run(["try"])).status, EXIT.usage);
    const { status, said } = await run(["daemon"]);
    assert.deepEqual([status, webhooks], [0, [undefined]]);
    assert.match(said, /^passed over, as if it were not there: old\.yaml:2:12: failover\.webhook must be .*\n$/);
    assert.doesNotMatch(said, /TOKEN/);
    assert.equal((await run(["daemon", "--stack-name", "Ä"])).status, EXIT.usage);
    assert.equal(webhooks.length, 1);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("colours only on a terminal, and neither with NO_COLOR, TERM=dumb nor --no-color", async () => {
  const coloured = async (environment: Record<string, string>, args: readonly string[], isTerminal = true) => {
    const frame = recordedFrame({ stderr: recordedSink({ isTerminal }), environment });
    await runCli(
      ["try", ...args],
      tryVerb(() => Promise.reject(wrongKey)),
      frame,
    );
    return frame.stderr.written().includes("\u001b[31m");
  };
  assert.equal(await coloured({}, []), true);
  assert.equal(await coloured({}, [], false), false);
  assert.equal(await coloured({ NO_COLOR: "1" }, []), false);
  assert.equal(await coloured({ TERM: "dumb" }, []), false);
  assert.equal(await coloured({}, ["--no-color"]), false);
});

test("notices and progress go to stderr, and --quiet keeps them back", async () => {
  const verbs = tryVerb(async (session) => {
    session.notice("mind the gap");
    session.progress.report({ phase: "copying", done: 1, total: 2 });
    return { json: null, text: "done" };
  });
  const loud = recordedFrame();
  await runCli(["try"], verbs, loud);
  assert.equal(loud.stderr.written(), "mind the gap\ncopying  50%  1 B of 2 B\n");
  const quiet = recordedFrame();
  await runCli(["try", "--quiet"], verbs, quiet);
  assert.equal(quiet.stderr.written(), "");
  assert.equal(quiet.stdout.written(), "done\n");
});

test("what is told nowhere else is told to who asked for quiet as well, and as JSON to who asked for JSON", async () => {
  const verbs = tryVerb(async ({ notice, disclose }) => {
    notice("by the way");
    disclose("the key");
    return { json: 1, text: "done" };
  });
  const written = async (args: readonly string[]): Promise<string> => {
    const frame = recordedFrame();
    assert.equal(await runCli(["try", ...args], verbs, frame), 0);
    return frame.stderr.written();
  };
  assert.equal(await written([]), "by the way\nthe key\n");
  assert.equal(await written(["--quiet"]), "the key\n");
  assert.equal(await written(["--quiet", "--json"]), '{"note":"the key"}\n');
});

test("a verb hears that its result is out, and does not where nobody takes it", async () => {
  let heard = 0;
  const onWritten = async (): Promise<void> => {
    heard += 1;
  };
  const verbs = tryVerb(async () => ({ json: 1, text: "done", onWritten }));
  for (const taken of [true, false]) {
    const frame = recordedFrame();
    const stdout = { ...frame.stdout, flushed: async () => taken };
    assert.equal(await runCli(["try"], verbs, { ...frame, stdout }), 0);
    assert.equal(heard, 1);
  }
});
