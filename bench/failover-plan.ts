/** What `bench failover` does to a stack, and what was promised of it. Pure. */

/** What is done to the stack. */
export type FaultName =
  | "killed"
  | "killed-with-controller"
  | "frozen"
  | "switchover"
  | "diverged"
  | "pause"
  | "silence"
  | "disk"
  | "replica"
  | "receiver"
  | "redis";

/** What must come of it: another node is the primary, or all stays as it is. */
export type Expectation = "new-primary" | "same-primary";

/** A fault, what must come of it, and the figures that were promised. */
export type Fault = {
  readonly name: FaultName;
  readonly title: string;
  readonly expects: Expectation;
  /** Of the write outage, seconds: by the median, and at worst. */
  readonly outageMax: { readonly median: number; readonly worst: number } | undefined;
  /** Operations that are not ok in one run; undefined where what was in flight may be. */
  readonly notOkMax: number | undefined;
  /** Of the work on the old primary before it is started, seconds. */
  readonly rebuildMax?: number;
  /** How long an operation may wait for a connection and for its answer, milliseconds. */
  readonly deadlineMs: number;
};

const DEADLINE_MS = 2_000;
/** A pause of two seconds is to be waited out. */
const PATIENT_DEADLINE_MS = 5_000;

/** A false alarm: halted for this long and then let go on, milliseconds. */
export const PAUSE_MS = 2_000;

/** Everything that can be done, in the order of the table. */
export const FAULTS: readonly Fault[] = [
  {
    name: "killed",
    title: "database killed (SIGKILL)",
    expects: "new-primary",
    outageMax: { median: 0.6, worst: 2 },
    notOkMax: undefined,
    deadlineMs: DEADLINE_MS,
  },
  {
    name: "killed-with-controller",
    title: "database and controller killed (SIGKILL)",
    expects: "new-primary",
    outageMax: { median: 0.6, worst: 2 },
    notOkMax: undefined,
    deadlineMs: DEADLINE_MS,
  },
  {
    name: "frozen",
    title: "frozen (SIGSTOP)",
    expects: "new-primary",
    outageMax: { median: 3.5, worst: 6 },
    notOkMax: undefined,
    deadlineMs: DEADLINE_MS,
  },
  {
    name: "switchover",
    title: "planned switchover",
    expects: "new-primary",
    outageMax: { median: 0.4, worst: 2 },
    notOkMax: 0,
    deadlineMs: DEADLINE_MS,
  },
  {
    name: "diverged",
    title: "killed after 1 % of its rows diverged",
    expects: "new-primary",
    rebuildMax: 3,
    outageMax: undefined,
    notOkMax: undefined,
    deadlineMs: DEADLINE_MS,
  },
  ...(
    [
      ["pause", "primary halted"],
      ["silence", "nothing of its WAL arrives"],
      ["disk", "its WAL's disk takes nothing"],
    ] as const
  ).map(([name, what]) => ({
    name,
    title: `${what} for ${PAUSE_MS / 1_000} s`,
    expects: "same-primary" as const,
    outageMax: undefined,
    notOkMax: 0,
    deadlineMs: PATIENT_DEADLINE_MS,
  })),
  ...(["replica", "receiver", "redis"] as const).map((name) => ({
    name,
    title: `${name} killed (SIGKILL)`,
    expects: "same-primary" as const,
    outageMax: undefined,
    notOkMax: 0,
    deadlineMs: DEADLINE_MS,
  })),
];

/** How the stack confirms commits. */
export const DURABILITIES = ["quorum", "strict", "async"] as const;

/** One of them. */
export type Durability = (typeof DURABILITIES)[number];

/** What is asked of the benchmark. */
export type FailoverRequest = {
  readonly faults: readonly FaultName[];
  /** Of each. */
  readonly runs: number;
  /** Of each, writes and reads. */
  readonly ratePerSecond: number;
  readonly durability: Durability;
  /** Of products in the database, MiB; 0: none. */
  readonly mib: number;
};

/** A run that was measured. */
export type FailoverRun = {
  readonly fault: FaultName;
  /** From one. */
  readonly number: number;
  readonly at: string;
  readonly primaryBefore: string;
  readonly primaryAfter: string;
  /** The longest time without an acknowledged write, from the fault on, seconds. */
  readonly writeOutageS: number;
  /** From the fault to the end of it. */
  readonly faultToWriteOkS: number;
  readonly readOutageS: number;
  /** The last operation that was given up; undefined without one. */
  readonly faultToLastErrorS: number | undefined;
  readonly longestOkS: number;
  readonly writesFailed: number;
  readonly writesUnknown: number;
  readonly readsFailed: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly unknownPresent: number;
  readonly acknowledged: number;
  /** Undefined where they could not be read back: no server came back that took writes. */
  readonly lost: number | undefined;
  /** Changed, there though failed, or never due. */
  readonly odd: number;
  /** Reads that did not see an acknowledged row. */
  readonly rowMissing: number;
  /** Until the stack was whole again, seconds. */
  readonly healS: number;
  /** How the old primary was made a replica again, and how long that took before it was started; undefined: it was not. */
  readonly rebuild?: Rebuild | undefined;
  /** What went wrong besides: a command that failed, a stack that did not heal by itself or not at all; undefined: nothing. */
  readonly problem?: string | undefined;
  /** What the controller itself says of it; undefined when it reported nothing. */
  readonly event?: EventFacts | undefined;
};

/** Of a controller's log: `follow`, `delta` or `restore`. */
export type Rebuild = { readonly kind: string; readonly ms: number };

/** Of a controller's report of an event: the parts of the outage and the steps, milliseconds. */
export type EventFacts = {
  readonly kind: string;
  readonly outageMs: number;
  readonly parts: Readonly<Record<string, number | null>>;
  readonly steps: readonly { readonly step: string; readonly ms: number; readonly failed: string | null }[];
};

/** The parts of an outage, in their order. */
export const PARTS = ["detect", "decide", "fence", "promote", "route", "prove"] as const;

/** Operations that did not end well. */
export function notOkOf(run: FailoverRun): number {
  return run.writesFailed + run.writesUnknown + run.readsFailed;
}

/** Whether another node is the primary afterwards; none is no other. */
export function isMoved(run: { readonly primaryBefore: string; readonly primaryAfter: string }): boolean {
  return run.primaryAfter !== run.primaryBefore && run.primaryAfter !== "none";
}

/**
 * What is still to be run: first what moves no role, for a node that is made anew has its WAL beside its data again, not on
 * the disk that is held up; each in turns, so that what disturbs the machine for a while disturbs all.
 */
export function remaining(
  request: FailoverRequest,
  done: readonly Pick<FailoverRun, "fault" | "number">[],
): readonly { readonly fault: Fault; readonly number: number }[] {
  const have = new Set(done.map(({ fault, number }) => `${fault} ${number}`));
  const faults = FAULTS.filter(({ name }) => request.faults.includes(name));
  const rounds = Array.from({ length: request.runs }, (_, index) => index + 1);
  return (["same-primary", "new-primary"] as const)
    .map((expects) => faults.filter((fault) => fault.expects === expects))
    .flatMap((group) => rounds.flatMap((number) => group.map((fault) => ({ fault, number }))))
    .filter(({ fault, number }) => !have.has(`${fault.name} ${number}`));
}
