/**
 * Every file that configures a program of a stack, as text. Pure.
 *
 * `lifeboat config render` prints what `lifeboat up` writes: both call this, one with stars for secrets.
 */
import path from "node:path";
import { renderHaproxy } from "../balancer/haproxy.ts";
import { renderRedis } from "../cache/redis.ts";
import { formatAccess, formatSettings, SETTINGS_FILE } from "../postgres/cluster.ts";
import type { ComponentName } from "./component-names.ts";
import { daemonConfigFile } from "./daemon-config.ts";
import { drivenLine } from "./driven.ts";
import { apiSocketOf, instancesOf, scraperSocketOf } from "./instances.ts";
import { nodeAccess, nodePort, nodeSettings, passwordFileOf, passwordFileText } from "./node-settings.ts";
import { renderPooler } from "./pooler-config.ts";
import {
  LIFEBOAT_CONFIG,
  lifeboatConfigFile,
  receiverReads,
  renderLifeboatConfig,
  renderWatchConfig,
} from "./receiver-config.ts";
import type { StackSecrets } from "./secrets.ts";
import { renderServiceFile, SERVICE_FILE } from "./service.ts";
import { componentsOf, ROLES, type StackDescription } from "./stack.ts";

/** A file of a component. Only its owner can read any of them. */
export type RenderedFile = {
  readonly component: ComponentName;
  readonly file: string;
  readonly text: string;
  /** `data`: it lies in a node's data folder, which must be there first. `controller`: it belongs to who started the stack. */
  readonly lies: "config" | "data" | "controller";
  /** True for what is there and counts as described although it reads otherwise: somebody else has written it since. */
  readonly isKept?: ((there: string) => boolean) | undefined;
  /** The part of the text that its program reads; without this all of it. */
  readonly reads?: (text: string) => string;
};

/** All files, in the order in which the components start. */
export function renderStack(stack: StackDescription, secrets: StackSecrets): readonly RenderedFile[] {
  return componentsOf(stack).flatMap((component) => renderComponent(stack, secrets, component));
}

/** The files of one component. */
export function renderComponent(
  stack: StackDescription,
  secrets: StackSecrets,
  component: ComponentName,
): readonly RenderedFile[] {
  const config = (name: string, text: string): RenderedFile => ({
    component,
    file: path.join(stack.place.configOf(component), name),
    text,
    lies: "config",
  });
  switch (component) {
    case "db":
    case "db_replica": {
      const data = stack.place.dataOf(component);
      const settings = formatSettings(nodeSettings(stack, component));
      return [
        { ...config(path.basename(passwordFileOf(stack, component)), passwordFileText(secrets.replication)) },
        { component, file: path.join(data, SETTINGS_FILE), text: settings, lies: "data" },
        { component, file: path.join(data, "pg_hba.conf"), text: formatAccess(nodeAccess(stack)), lies: "data" },
      ];
    }
    case "receiver":
      return [
        { ...config(path.basename(lifeboatConfigFile(stack)), renderLifeboatConfig(stack)), reads: receiverReads },
      ];
    case "redis":
      return [config("redis.conf", redisText(stack, secrets))];
    case "pgbouncer":
      return renderPooler(stack, secrets).map(({ name, text, isKept }) => ({ ...config(name, text), isKept }));
    case "pooler_watch":
      return [config(LIFEBOAT_CONFIG, renderWatchConfig(stack) + drivenLine(stack, secrets))];
    case "api":
    case "mcp":
    case "scraper-scheduler":
      return [config(SERVICE_FILE, renderServiceFile(stack))];
    case "haproxy":
      return [config("haproxy.cfg", haproxyText(stack))];
    case "daemon":
      return [
        {
          component,
          file: daemonConfigFile(stack),
          text: stack.daemonConfig + drivenLine(stack, secrets),
          lies: "controller",
        },
      ];
  }
}

/** Where HAProxy's console listens. */
export function statsSocketOf({ place }: StackDescription): string {
  return path.join(place.sockets, "haproxy.sock");
}

/** Where HAProxy's parent process listens. */
export function controlSocketOf({ place }: StackDescription): string {
  return path.join(place.sockets, "haproxy-control.sock");
}

function haproxyText(stack: StackDescription): string {
  const node = (name: "db" | "db_replica") => ({ name, host: "127.0.0.1", port: nodePort(stack, name) });
  return renderHaproxy({
    frontPort: stack.ports.front,
    readPort: stack.ports.reads,
    api: [
      ...(stack.service ? instancesOf(stack, "api") : []).map((name) => ({ name, socket: apiSocketOf(stack, name) })),
      ...stack.api.map((address, index) => ({ name: `other-${index + 1}`, ...address })),
    ],
    pages: stack.service ? [{ name: "scraper-scheduler", socket: scraperSocketOf(stack) }] : [],
    readers: [node("db_replica"), node("db")],
    checkRole: ROLES.check,
    statsSocket: statsSocketOf(stack),
  });
}

function redisText(stack: StackDescription, secrets: StackSecrets): string {
  return renderRedis({
    port: stack.ports.redis,
    dataFolder: stack.place.dataOf("redis"),
    password: secrets.redis,
    memoryMaxBytes: stack.cacheMemoryMax,
    policy: stack.cachePolicy,
  });
}
