/**
 * Runs the components of one stack and keeps the record of them.
 *
 * Invariants: one supervisor for each folder, by a kernel lock; what is asked of one component happens in the order in which
 * it was asked; components do not wait for each other. An order of an earlier epoch than one that was carried out is refused
 * when its turn has come, and nothing else happens between comparing and acting. While a supervisor ends it starts nothing,
 * and it leaves nothing running that its record does not name.
 */
import path from "node:path";
import { LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import type { Clock } from "../clock.ts";
import type { ComponentSpec, ComponentState, ExecRequest, ExecResult, FenceAnswer } from "../components.ts";
import type { Files } from "../files.ts";
import type { Lock, Locks } from "../lock.ts";
import type { Processes } from "../processes.ts";
import { startTimer } from "../timer.ts";
import { bootOf } from "./boot.ts";
import { Component } from "./component.ts";
import { trimLog } from "./log-file.ts";
import { type ComponentRecord, keepRecordReserve, readRecord, removeRecord, writeRecord } from "./record.ts";

/** What a supervisor needs of the machine. */
export type SupervisorTools = {
  readonly files: Files;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly locks: Locks;
  /** Told of what cannot be told to anybody else. */
  readonly notice: (message: string) => void;
};

/** Under which epoch an order is given; undefined: under none. */
type Ordered = { readonly epoch?: number | undefined };

/** `ending`: what runs is being stopped and nothing is started. `over`: the record is left to the next supervisor. */
type Phase = "serving" | "ending" | "over";

/** SIGKILL takes effect at once. What waits for a disk is left to its own turn: the others are not kept waiting for it. */
const ADOPTION_MS = 2_000;

/**
 * Who governs others is stopped first, or it takes their end for a failure and acts on it. Nodes, which are never started again
 * by themselves, come last: when nobody uses them any more.
 */
const STOP_RANK = { unhurried: 0, "on-failure": 1, never: 2 } as const satisfies Record<
  ComponentSpec["restart"],
  number
>;

/** Where a supervisor's logs lie. */
export function logFolderOf(folder: string): string {
  return path.join(folder, "logs");
}

/** A supervisor of this process. */
export class Supervisor {
  readonly #tools: SupervisorTools;
  readonly #folder: string;
  readonly #lock: Lock;
  readonly #boot: string | undefined;
  readonly #components = new Map<string, Component>();
  readonly #records = new Map<string, ComponentRecord>();
  readonly #turns = new Map<string, Promise<void>>();
  #saving: Promise<void> = Promise.resolve();
  /** The greatest of an order that was carried out. */
  #epoch = 0;
  /** What a supervisor that comes after this one would read. */
  #durableEpoch = 0;
  #phase: Phase = "serving";
  #ending: Promise<void> | undefined;

  private constructor(
    tools: SupervisorTools,
    { folder, lock, boot }: { readonly folder: string; readonly lock: Lock; readonly boot: string | undefined },
  ) {
    this.#tools = tools;
    this.#folder = folder;
    this.#lock = lock;
    this.#boot = boot;
  }

  /**
   * Takes a folder over with all that still runs of it. Undefined when another supervisor has it. Rejects with
   * `platform.supervisor-record`.
   */
  static async open(tools: SupervisorTools, folder: string): Promise<Supervisor | undefined> {
    const lock = tools.locks.tryAcquire(path.join(folder, "lock"));
    if (lock === undefined) return undefined;
    try {
      const supervisor = new Supervisor(tools, { folder, lock, boot: await bootOf(tools) });
      const recorded = await readRecord(tools.files, folder);
      supervisor.#epoch = recorded.epoch;
      supervisor.#durableEpoch = recorded.epoch;
      for (const [name, record] of recorded.components) supervisor.#records.set(name, record);
      await Promise.all([...recorded.components].map(([name, record]) => supervisor.#adopt(name, record)));
      await keepRecordReserve(tools.files, folder);
      return supervisor;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  start(spec: ComponentSpec, order: Ordered = {}): Promise<void> {
    return this.#turn(spec.name, () => {
      this.#refuseWhileEnding(spec.name);
      this.#admit(spec.name, order);
      return this.#component(spec.name).start(spec);
    });
  }

  stop(name: string, order: Ordered = {}): Promise<{ readonly killed: boolean }> {
    return this.#known(name, async (component) => {
      this.#admit(name, order);
      // It acts before it records anything: a supervisor that comes after this one must know of the epoch.
      if (this.#epoch > this.#durableEpoch) await this.#saveAll();
      return await component.stop();
    });
  }

  kill(name: string): Promise<void> {
    return this.#known(name, (component) => component.kill());
  }

  freeze(name: string): Promise<void> {
    return this.#known(name, (component) => component.freeze());
  }

  thaw(name: string): Promise<void> {
    return this.#known(name, (component) => component.thaw());
  }

  restart(name: string): Promise<void> {
    return this.#known(name, (component) => {
      this.#refuseWhileEnding(name);
      return component.restart();
    });
  }

  fence(name: string, order: Ordered = {}): Promise<FenceAnswer> {
    return this.#turn(name, () => {
      this.#admit(name, order);
      return this.#component(name).fence();
    });
  }

  unfence(name: string, order: Ordered = {}): Promise<void> {
    return this.#known(name, (component) => {
      this.#refuseWhileEnding(name);
      this.#admit(name, order);
      return component.unfence();
    });
  }

  /** Out of turn: a command may take as long as it likes, and what ends the component ends the command. */
  async exec(request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
    return await this.#find(request.name).exec(request, signal);
  }

  state(): readonly ComponentState[] {
    return [...this.#components.values()]
      .map((component) => component.state)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Keeps the logs from growing for ever, and room for the record. */
  async tidy(): Promise<void> {
    const { files, notice } = this.#tools;
    const told = (what: string) => (error: unknown) => notice(`${what}: ${errorText(error)}`);
    for (const { logFile } of this.#components.values()) {
      await trimLog(files, logFile).catch(told(`cannot trim ${logFile}`));
    }
    await keepRecordReserve(files, this.#folder).catch(told("cannot keep room for the record"));
  }

  /**
   * Stops what runs, forgets all but what is fenced, and lets the folder go; from when it is called nothing is started any more.
   * What governs others is stopped first and nodes last, of each the last started first. One that cannot be stopped does not keep
   * the others; then this rejects, and the supervisor goes on.
   */
  end(): Promise<void> {
    this.#ending ??= this.#end().catch((error: unknown) => {
      this.#ending = undefined;
      this.#phase = "serving";
      throw error;
    });
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#phase = "ending";
    this.#recordDown();
    do {
      await this.#stopAll();
      // What was taken on before may have started something meanwhile.
      await this.#untilQuiet();
    } while (this.#toStop().length > 0);
    this.#phase = "over";
    await this.#saving;
    const fenced = new Map([...this.#records].filter(([, record]) => record.fencedAt !== null));
    if (fenced.size === 0) await removeRecord(this.#tools.files, this.#folder);
    else await writeRecord(this.#tools.files, this.#folder, { epoch: this.#epoch, components: fenced });
    this.#lock.release();
  }

  /** A supervisor that comes after this one, killed while it ended, starts none of it. Stopping waits for no disk. */
  #recordDown(): void {
    for (const name of this.#toStop()) this.#records.set(name, this.#find(name).tellDown());
    this.#saveAll().catch((error: unknown) => {
      this.#tools.notice(`it is not recorded that all is to go down: ${errorText(error)}`);
    });
  }

  #toStop(): readonly string[] {
    return [...this.#components.values()]
      .filter(({ state: { mode } }) => mode === "running" || mode === "frozen" || mode === "backing-off")
      .toSorted((a, b) => STOP_RANK[a.restartRule] - STOP_RANK[b.restartRule] || b.state.since - a.state.since)
      .map(({ name }) => name);
  }

  async #stopAll(): Promise<void> {
    const failed: unknown[] = [];
    for (const name of this.#toStop()) {
      try {
        await this.stop(name);
      } catch (error) {
        failed.push(error);
        this.#tools.notice(`${name} could not be stopped: ${errorText(error)}`);
      }
    }
    if (failed.length > 0) throw failed[0];
  }

  /** Returns when nothing is under way. */
  async #untilQuiet(): Promise<void> {
    let waited: readonly Promise<void>[] = [];
    while ([...this.#turns.values()].some((turn) => !waited.includes(turn))) {
      waited = [...this.#turns.values()];
      await Promise.all(waited);
    }
  }

  /** Returns when what was recorded is known; what is left to do to it is done in its turn. */
  async #adopt(name: string, record: ComponentRecord): Promise<void> {
    const adopted = this.#turn(name, () => this.#component(name).adopt(record));
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = startTimer(ADOPTION_MS, resolve);
    });
    await Promise.race([adopted, late]).finally(cancel);
  }

  #component(name: string): Component {
    const there = this.#components.get(name);
    if (there !== undefined) return there;
    const { processes, clock, notice } = this.#tools;
    const component = new Component(
      {
        processes,
        clock,
        logFolder: logFolderOf(this.#folder),
        boot: this.#boot,
        notice,
        save: (of, record) => this.#save(of, record),
        inTurn: (of, work) => {
          this.#turn(of, work).catch((error: unknown) => notice(`${of}: ${errorText(error)}`));
        },
      },
      name,
    );
    this.#components.set(name, component);
    return component;
  }

  async #known<T>(name: string, work: (component: Component) => Promise<T>): Promise<T> {
    const component = this.#find(name);
    return this.#turn(name, () => work(component));
  }

  #find(name: string): Component {
    const component = this.#components.get(name);
    if (component === undefined) {
      throw new LifeboatError("platform.component-unknown", {
        message: `there is no component ${name}; there ${describeNames([...this.#components.keys()])}`,
        remedy: "`lifeboat ps` lists them.",
      });
    }
    return component;
  }

  /** Throws where what was started now would be left running when this process is gone. */
  #refuseWhileEnding(name: string): void {
    if (this.#phase === "serving") return;
    throw new LifeboatError("platform.no-answer", {
      message: `the supervisor stops all components and ends: ${name} is not started`,
      remedy: "Run the command again when it has ended; `lifeboat ps` shows what runs.",
      retryable: true,
    });
  }

  /** What is recorded next has the epoch. Throws for one that is earlier than another one. */
  #admit(name: string, { epoch }: Ordered): void {
    if (epoch === undefined) return;
    if (epoch < this.#epoch) {
      throw new LifeboatError("platform.stale-epoch", {
        message: `an order of epoch ${epoch} to ${name} came when one of epoch ${this.#epoch} had been carried out`,
        remedy: "Another controller acts; see what it does: lifeboat failover --check-only.",
        details: { seen: this.#epoch },
      });
    }
    this.#epoch = epoch;
  }

  async #turn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const mine = before.then(() => {
      // Of what was done now the next supervisor would not know.
      if (this.#phase === "over") this.#refuseWhileEnding(name);
      return work();
    });
    this.#turns.set(
      name,
      mine.then(
        () => undefined,
        () => undefined,
      ),
    );
    return mine;
  }

  async #save(name: string, record: ComponentRecord): Promise<void> {
    this.#records.set(name, record);
    await this.#saveAll();
  }

  async #saveAll(): Promise<void> {
    const saved = this.#saving.then(async () => {
      const epoch = this.#epoch;
      await writeRecord(this.#tools.files, this.#folder, { epoch, components: this.#records });
      this.#durableEpoch = Math.max(this.#durableEpoch, epoch);
    });
    this.#saving = saved.catch(() => undefined);
    await saved;
  }
}

function describeNames(names: readonly string[]): string {
  if (names.length === 0) return "is none";
  return names.length === 1 ? `is ${names.join()}` : `are ${names.toSorted().join(", ")}`;
}
