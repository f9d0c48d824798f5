/**
 * The cache: redis' configuration. Pure.
 *
 * Nouns: the *AOF* is redis' log of writes, the *RDB* an image of all it holds; the *policy* says what goes when the memory
 * is full.
 * Invariants: what was written is on disk within a second (AOF, synced every second) and in a whole file of its own now and
 * then (RDB); memory is bounded; nobody gets in without the password. Who has it may do everything, FLUSHALL, KEYS and CONFIG too, but
 * for DEBUG and for a change of where files are written: it is the stack's own, and what lies here can be made anew.
 * Source: redis.conf of redis 7, "Redis persistence" in redis' documentation.
 */

/** What the cache is to be. */
export type CacheRequest = {
  readonly port: number;
  /** For files of its own: AOF and RDB. */
  readonly dataFolder: string;
  readonly password: string;
  readonly memoryMaxBytes: number;
  /** What goes when the memory is full. */
  readonly policy: string;
};

/** The text of redis.conf. */
export function renderRedis(request: CacheRequest): string {
  return `# Written by lifeboat; changes made here are lost.
bind 127.0.0.1
port ${request.port}
protected-mode yes
requirepass ${request.password}
daemonize no
supervised no
databases 1
tcp-keepalive 15
timeout 0

maxmemory ${request.memoryMaxBytes}
maxmemory-policy ${request.policy}

# A second of writes at the most is lost with the machine, nothing with the process.
dir ${quoted(request.dataFolder)}
appendonly yes
appendfsync everysec
# While a file is rewritten too: a disk that is busy with it must not widen what can be lost.
no-appendfsync-on-rewrite no
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
aof-use-rdb-preamble yes
# An AOF that was cut short by a power cut ends in half a command: go on with what is whole.
aof-load-truncated yes
save 3600 1 300 100 60 10000
rdbcompression yes
rdbchecksum yes
# A cache that cannot save is still a cache; the failed save is told by INFO.
stop-writes-on-bgsave-error no

rename-command DEBUG ""
enable-debug-command no
`;
}

/** As redis reads an argument: quotes around what holds spaces, with escapes inside. */
function quoted(word: string): string {
  return /^[\w./:-]+$/.test(word) ? word : `"${word.replace(/[\\"]/g, "\\$&")}"`;
}
