/** How each component of a stack is run. Pure. */
import path from "node:path";
import type { ComponentSpec } from "../platform/components.ts";
import { STOP_DEADLINE_MS } from "../platform/end-on-signal.ts";
import { RECEIVER_NODE_ARGUMENTS } from "../wal/receiver-heap.ts";
import type { ComponentName } from "./component-names.ts";
import { daemonConfigFile } from "./daemon-config.ts";
import { apiSocketOf, instancesOf, scraperSocketOf } from "./instances.ts";
import { type NodeName, nodePort } from "./node-settings.ts";
import { poolerConfigOf } from "./pooler-config.ts";
import { LIFEBOAT_CONFIG, lifeboatConfigFile } from "./receiver-config.ts";
import { controlSocketOf } from "./render.ts";
import { serviceFileOf } from "./service.ts";
import type { StackDescription } from "./stack.ts";
import type { StackTools } from "./tools.ts";

/** A fast stop writes a checkpoint and waits for its confirmers, at most wal_sender_timeout for each that is stuck. */
const NODE_STOP_TIMEOUT_MS = 60_000;
/** Redis writes its last file; the receiver stores what it has; the others have nothing to keep. */
const STOP_TIMEOUT_MS = 15_000;
/** A program of the service ends by itself in less. */
const SERVICE_STOP_TIMEOUT_MS = STOP_DEADLINE_MS + 2_000;
/** How long clients of the balancer and of the pooler may finish. */
const DRAIN_TIMEOUT_MS = 3_000;

/** What the platform is told: how each program of a component is run. */
export function componentSpecs(
  stack: StackDescription,
  component: ComponentName,
  tools: Pick<StackTools, "programs" | "user">,
): readonly ComponentSpec[] {
  const spec = componentSpec(stack, component, tools);
  if (component === "daemon") return instancesOf(stack, component).map((name) => ({ ...spec, name }));
  if (component === "api") {
    return instancesOf(stack, component).map((name) => ({
      ...spec,
      name,
      arguments: apiArguments(stack, tools, name),
    }));
  }
  if (component !== "pgbouncer") return [spec];
  const config = (instance: string): string => path.join(stack.place.configOf(component), poolerConfigOf(instance));
  return instancesOf(stack, component).map((name) => ({ ...spec, name, arguments: [config(name)] }));
}

/** How the one program of a component, or the first of several, is run. */
export function componentSpec(
  stack: StackDescription,
  component: ComponentName,
  { programs, user }: Pick<StackTools, "programs" | "user">,
): ComponentSpec {
  const { place, ports } = stack;
  const config = (name: string): string => path.join(place.configOf(component), name);
  const common = { name: component, environment: {}, workFolder: place.folder, runAs: user } as const;
  switch (component) {
    case "db":
    case "db_replica":
      return nodeSpec(stack, component, { programs, user });
    case "receiver": {
      const args = ["--config", lifeboatConfigFile(stack), "wal", "receive"];
      const spec = lifeboatSpec(stack, component, { programs, user, args });
      return { ...spec, arguments: [...RECEIVER_NODE_ARGUMENTS, ...spec.arguments] };
    }
    case "redis":
      return {
        ...common,
        program: programs.redis,
        arguments: [config("redis.conf")],
        ports: [{ name: "redis", port: ports.redis }],
        restart: "on-failure",
        stop: { signal: "SIGTERM", timeoutMs: STOP_TIMEOUT_MS },
      };
    case "pgbouncer":
      return {
        ...common,
        program: programs.pgbouncer,
        arguments: [config(poolerConfigOf(component))],
        ports: [{ name: "pgbouncer", port: ports.pgbouncer }],
        restart: "on-failure",
        // On every version: transactions under way end, idle clients do not matter.
        stop: { signal: "SIGINT", timeoutMs: DRAIN_TIMEOUT_MS },
      };
    case "pooler_watch": {
      const args = ["--config", config(LIFEBOAT_CONFIG), "pooler", "watch"];
      return lifeboatSpec(stack, component, { programs, user, args });
    }
    case "daemon":
      return {
        ...common,
        // As whoever runs the supervisor, which it asks to start and to fence nodes.
        runAs: undefined,
        program: programs.lifeboat.command,
        arguments: [...programs.lifeboat.args, "--config", daemonConfigFile(stack), "daemon", "--stand-by"],
        ports: [],
        restart: "unhurried",
        stop: { signal: "SIGTERM", timeoutMs: STOP_TIMEOUT_MS },
      };
    case "api":
    case "mcp":
    case "scraper-scheduler":
      return serviceSpec(stack, component, { programs, user });
    case "haproxy":
      return {
        ...common,
        program: programs.haproxy,
        // A parent process, which stays in the foreground, and its worker: the parent can reload without a closed port.
        arguments: ["-W", "-S", `${controlSocketOf(stack)},mode,600`, "-f", config("haproxy.cfg")],
        ports: [
          { name: "front", port: ports.front },
          { name: "reads", port: ports.reads },
        ],
        restart: "on-failure",
        stop: { signal: "SIGUSR1", timeoutMs: DRAIN_TIMEOUT_MS },
      };
  }
}

/** A program of the service; of the API the first instance: the others differ in their names and arguments. */
function serviceSpec(
  stack: StackDescription,
  name: "api" | "mcp" | "scraper-scheduler",
  { programs, user }: Pick<StackTools, "programs" | "user">,
): ComponentSpec {
  const { port, args } = serviceArguments(stack, name, programs);
  return {
    name,
    program: programs.service.command,
    arguments: args,
    environment: {},
    workFolder: stack.place.folder,
    runAs: programs.lifeboatAsUser ? user : undefined,
    ports: port === undefined ? [] : [{ name, port }],
    restart: "on-failure",
    stop: { signal: "SIGTERM", timeoutMs: SERVICE_STOP_TIMEOUT_MS },
  };
}

/** A program of the service: where everything is, its name, and where it listens. */
function serviceArguments(
  stack: StackDescription,
  name: "api" | "mcp" | "scraper-scheduler",
  programs: StackTools["programs"],
): { readonly args: readonly string[]; readonly port?: number } {
  const { args, mcp, scraper } = programs.service;
  const file = serviceFileOf(stack, name);
  switch (name) {
    case "api":
      return { args: apiArguments(stack, { programs }, name) };
    case "mcp":
      return { args: [...args, mcp, file, `${stack.ports.mcp}`], port: stack.ports.mcp };
    case "scraper-scheduler":
      return { args: [...args, scraper, file, name, scraperSocketOf(stack)] };
  }
}

/** An instance of the API: where everything is, its name, and where it listens. */
function apiArguments(stack: StackDescription, { programs }: Pick<StackTools, "programs">, name: string): string[] {
  const { args, api } = programs.service;
  return [...args, api, serviceFileOf(stack, "api"), name, apiSocketOf(stack, name)];
}

/** A command of Lifeboat's own that stays. */
function lifeboatSpec(
  { place }: StackDescription,
  name: ComponentName,
  { programs, user, args }: Pick<StackTools, "programs" | "user"> & { readonly args: readonly string[] },
): ComponentSpec {
  return {
    name,
    program: programs.lifeboat.command,
    arguments: [...programs.lifeboat.args, ...args],
    environment: { XDG_CACHE_HOME: place.programCache },
    workFolder: place.folder,
    runAs: programs.lifeboatAsUser ? user : undefined,
    ports: [],
    restart: "on-failure",
    stop: { signal: "SIGTERM", timeoutMs: STOP_TIMEOUT_MS },
  };
}

/** The platform never starts a node again by itself: whether it may be the primary is not its to know. */
function nodeSpec(
  stack: StackDescription,
  node: NodeName,
  { programs, user }: Pick<StackTools, "programs" | "user">,
): ComponentSpec {
  const port = nodePort(stack, node);
  const data = stack.place.dataOf(node);
  // What the other node's configuration says of folders came along with its data.
  return {
    name: node,
    program: path.join(programs.postgres.binFolder, "postgres"),
    arguments: ["-D", data, "-c", `data_directory=${data}`],
    environment: {},
    workFolder: stack.place.folder,
    runAs: user,
    ports: [{ name: node, port }],
    restart: "never",
    stop: { signal: "SIGINT", timeoutMs: NODE_STOP_TIMEOUT_MS },
  };
}
