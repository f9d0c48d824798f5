/**
 * A simulated PgBouncer in transaction mode: clients' statements on a few connections to one server. It passes
 * `src/failover/conformance/pooler.ts`, as the real one does.
 *
 * What is like the real one, because clients' errors rest on it: one login at a time; after one that failed (or was cut by a
 * pause) clients that come are refused until one succeeds, those that wait go on waiting; a pause waits for what runs, or
 * leaves it to its fate; it is forgotten in a restart, the file with target and epoch is not; a watchdog ends a pause that nobody
 * renews; what is lost on its way is sent again until its connection is closed.
 */
import type { Server, WriteAnswer } from "./server.ts";
import type { Stack } from "./stack.ts";
import { Process } from "./world.ts";

/** What runs on a server, in its process. */
type Statement = (server: Server, done: (answer: WriteAnswer) => void) => void;
type Client = { readonly run: Statement; readonly reply: (answer: WriteAnswer, by: string) => void };
type Connection = { readonly server: Server; readonly life: number; client: Client | undefined; open: boolean };
type PauseWish = {
  readonly drain: boolean;
  readonly gone?: boolean | undefined;
  readonly sparing?: boolean | undefined;
  readonly drainMs: number;
  readonly holdMsMax: number;
};

const POOL_SIZE = 20;
/** server_login_retry and server_connect_timeout of our stacks. */
const LOGIN_RETRY_MS = 100;
const LOGIN_TIMEOUT_MS = 5_000;
/** Until what was lost on its way is sent again. */
const AGAIN_MS = 200;
const LOOK_MS = 20;

/** The pooler. */
export class Pooler {
  readonly name: string;
  readonly stack: Stack;
  readonly process: Process;
  mode: "serving" | "paused" = "serving";
  /** In its include file. */
  epoch = 1;
  target = "a";
  #waiting: Client[] = [];
  #idle: Connection[] = [];
  readonly #active = new Set<Connection>();
  #login: { readonly server: Server } | undefined;
  #loginFailed = false;
  #loginAfter = 0;
  #retrying = false;
  /** Counts pauses and resumes: what was to come of an earlier one does not. */
  #turn = 0;

  constructor(stack: Stack, name: string) {
    this.stack = stack;
    this.name = name;
    this.process = new Process(name, stack.world.machine(name));
  }

  get logsIn(): boolean {
    return this.#login !== undefined;
  }

  /** A client's write has come. */
  write(write: number, reply: (answer: WriteAnswer) => void): void {
    this.submit((server, done) => server.write(write, done), reply);
  }

  /** A client's statement has come; told whether it was done, and by whom. */
  submit(run: Statement, reply: (answer: WriteAnswer, by: string) => void): void {
    if (this.mode === "serving" && this.#loginFailed && this.#connections === 0) {
      reply("failed", "");
      this.#logIn();
      return;
    }
    this.#waiting.push({ run, reply });
    this.#serve();
  }

  // ------------------------------------------------------------------------------------------------ connections

  get #connections(): number {
    return this.#idle.length + this.#active.size;
  }

  #isUsable({ open, server, life }: Connection): boolean {
    return open && server.process.running && server.process.life === life;
  }

  #serve(): void {
    while (this.mode === "serving" && this.#waiting.length > 0) {
      const connection = this.#idle.pop();
      if (connection === undefined) {
        this.#logIn();
        return;
      }
      if (!this.#isUsable(connection)) continue;
      const client = this.#waiting.shift();
      if (client !== undefined) this.#run(connection, client);
    }
  }

  #run(connection: Connection, client: Client): void {
    const { server } = connection;
    connection.client = client;
    this.#active.add(connection);
    this.#send(connection, this.process, server.process, () =>
      client.run(server, (answer) =>
        this.#send(connection, server.process, this.process, () => {
          this.#active.delete(connection);
          connection.client = undefined;
          client.reply(answer, server.name);
          if (this.mode === "serving" && server.name === this.target) this.#idle.push(connection);
          this.#serve();
        }),
      ),
    );
  }

  #send(connection: Connection, from: Process, to: Process, run: () => void): void {
    const { world } = this.stack;
    if (!this.#isUsable(connection)) return;
    const delay = world.travel(from.machine, to.machine);
    if (delay === undefined) {
      world.at(world.now + AGAIN_MS, () => this.#send(connection, from, to, run));
      return;
    }
    const { life } = to;
    world.at(world.now + delay, () =>
      world.inside(to, life, () => {
        if (connection.open) run();
      }),
    );
  }

  /** One at a time, and after one that failed not at once. */
  #logIn(): void {
    if (this.#login !== undefined || this.mode === "paused") return;
    const { world } = this.stack;
    if (world.now < this.#loginAfter) {
      this.#logInLater();
      return;
    }
    for (const each of this.#active) if (!this.#isUsable(each)) this.#active.delete(each);
    if (this.#connections >= POOL_SIZE) return;
    const login = { server: this.stack.server(this.target) };
    this.#login = login;
    world.after(this.process, LOGIN_TIMEOUT_MS, () => this.#loginEnds(login, false));
    this.#askLogin(login);
  }

  #logInLater(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    const { world } = this.stack;
    world.after(this.process, Math.max(0, this.#loginAfter - world.now), () => {
      this.#retrying = false;
      if (this.#waiting.length > 0) this.#serve();
    });
  }

  #askLogin(login: { readonly server: Server }): void {
    if (this.#login !== login) return;
    const { world } = this.stack;
    const { process } = login.server;
    const [there, back] = [
      world.travel(this.process.machine, process.machine),
      world.travel(process.machine, this.process.machine),
    ];
    if (there === undefined || back === undefined) {
      world.after(this.process, AGAIN_MS, () => this.#askLogin(login));
      return;
    }
    const answer = (succeeds: boolean): void => {
      world.after(this.process, back, () => this.#loginEnds(login, succeeds));
    };
    world.at(world.now + there, () => {
      if (!process.alive) answer(false);
      else world.inside(process, process.life, () => answer(login.server.mode !== "starting"));
    });
  }

  #loginEnds(login: { readonly server: Server }, succeeded: boolean): void {
    if (this.#login !== login) return;
    this.#login = undefined;
    this.#loginFailed = !succeeded;
    const { server } = login;
    if (succeeded && server.name === this.target && this.mode === "serving") {
      this.#idle.push({ server, life: server.process.life, client: undefined, open: true });
    }
    if (!succeeded) this.#loginAfter = this.stack.world.now + LOGIN_RETRY_MS;
    this.#serve();
  }

  // ----------------------------------------------------------------------------------------------------- orders

  /** Whether a statement runs on a server that lives. */
  get busy(): boolean {
    for (const each of this.#active) {
      if (this.#isUsable(each)) return true;
      this.#active.delete(each);
    }
    return false;
  }

  accepts(epoch: number): boolean {
    if (!this.stack.settings.without.has("epoch check") && epoch < this.epoch) return false;
    this.epoch = Math.max(this.epoch, epoch);
    return true;
  }

  /** Holds clients back; told whether what ran has ended, or was given up. */
  pause({ drain, gone, sparing, drainMs, holdMsMax }: PauseWish, told: (drained: boolean) => void): void {
    const { world } = this.stack;
    if (sparing === true && gone !== true && this.#login !== undefined && this.mode === "serving") {
      this.stack.counts.note("pause that spared a login");
      told(false);
      return;
    }
    const turn = this.#nextTurn();
    const deadline = world.now + drainMs;
    const hold = (): void => {
      this.mode = "paused";
      this.#idle = [];
      world.after(this.process, holdMsMax, () => {
        if (this.#turn !== turn) return;
        this.stack.counts.note("pause ended by its watchdog");
        this.resume();
      });
    };
    if (!drain) {
      if (this.#login !== undefined) this.#loginEnds(this.#login, false);
      hold();
      told(true);
      return;
    }
    let held = false;
    const wait = (): void => {
      if (this.#turn !== turn) {
        told(false);
        return;
      }
      // Only while no login is in flight: a pause would cut it.
      if (!held && this.#login === undefined) {
        hold();
        held = true;
      }
      if (held && !this.busy) told(true);
      else if (world.now < deadline) world.after(this.process, LOOK_MS, wait);
      else {
        this.resume();
        told(false);
      }
    };
    wait();
  }

  /**
   * A pause comes whose controller was halted after its epoch had been looked at; whoever came then has put its hold away, so that no
   * watchdog ends it.
   */
  pauseLate(): void {
    if (!this.process.running || this.mode === "paused") return;
    this.#nextTurn();
    if (this.#login !== undefined) this.#loginEnds(this.#login, false);
    this.mode = "paused";
    this.#idle = [];
  }

  #nextTurn(): number {
    this.#turn += 1;
    return this.#turn;
  }

  resume(): void {
    this.#nextTurn();
    this.mode = "serving";
    this.#serve();
  }

  /** Connections to another server are closed, when they are free. */
  repoint(node: string): void {
    this.target = node;
    this.#idle = this.#idle.filter(({ server }) => server.name === node);
    if (this.#login !== undefined && this.#login.server.name !== node) this.#login = undefined;
    this.#serve();
  }

  /** Clients that hang on a server are told that it failed; whether it did is unknown. */
  dropDead(node: string): void {
    for (const each of [...this.#active]) {
      if (each.server.name !== node) continue;
      each.open = false;
      this.#active.delete(each);
      each.client?.reply("failed", node);
    }
  }

  crash(): void {
    this.stack.world.kill(this.process);
    for (const each of this.#active) each.open = false;
    this.#active.clear();
    this.#idle = [];
    this.#waiting = [];
    this.#login = undefined;
    this.#loginFailed = false;
    this.#retrying = false;
  }

  start(): void {
    if (this.process.alive || !this.process.machine.up) return;
    this.process.alive = true;
    this.mode = "serving";
    this.#nextTurn();
  }
}
