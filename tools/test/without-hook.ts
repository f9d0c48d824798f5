/**
 * Loaded before each test file, and before node:test is. That would follow every promise by an async hook, to say to which test an
 * error belongs that nobody caught; in tests of many promises this takes a third of the processor time. An uncaught error still
 * fails the file, by the runner.
 */
import hooks from "node:async_hooks";

const idle: hooks.AsyncHook = { enable: () => idle, disable: () => idle };
hooks.createHook = () => idle;
