/**
 * What Node.js is started with for a receiver, before its program; bin/lifeboat says the same. WAL passes through memory outside
 * the heap, and each 20 MiB of that would start a collection of the whole heap, with four threads that commits wait beside: a
 * fifth of a receiver's CPU time. A heap that may begin at this size (MiB) is collected a third as often.
 */
export const RECEIVER_NODE_ARGUMENTS = ["--initial-old-space-size=100"];
