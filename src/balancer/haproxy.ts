/**
 * The balancer: HAProxy's configuration. Pure.
 *
 * Nouns: the *front* leads HTTP clients to the API's instances; the *read port* leads PostgreSQL clients to the replica,
 * and to the primary while the replica is away; the *stats socket* is HAProxy's own console.
 * Invariants: an instance gets requests only while its health check passes, or while nobody's does: on a machine that has too
 * much to do all checks are late at once, and an instance that is not well says so better than a balancer that asks none. A
 * request that never reached an instance is sent to another one, one that may have had an effect never; with no instance at all
 * the front still answers on its own page, so that "the balancer is down" and "nothing is behind it" can be told apart.
 * Source: HAProxy 2.6 configuration manual.
 */

/** A server behind the balancer. */
export type BalancedServer = { readonly name: string } & (
  | { readonly host: string; readonly port: number }
  | { readonly socket: string }
);

/** What the balancer is to do. */
export type BalancerRequest = {
  readonly frontPort: number;
  readonly readPort: number;
  readonly api: readonly BalancedServer[];
  /** Programs that serve no clients: what they tell of themselves is found below /instances/<name>/ as well. */
  readonly pages: readonly BalancedServer[];
  /** Where reads go, the first choice first. */
  readonly readers: readonly BalancedServer[];
  /** Role whose name the database's health check gives; it never logs in. */
  readonly checkRole: string;
  readonly statsSocket: string;
  /** In tests shorter than WAIT_MS. */
  readonly waitMs?: { readonly head: number; readonly body: number; readonly answer: number } | undefined;
};

/** The page that the balancer answers by itself: 200 while it runs. */
export const BALANCER_HEALTH_PATH = "/balancer/health";

/** What an instance of the API is asked: 200 while it can serve. */
export const API_HEALTH_PATH = "/health/ready";

/**
 * A request that may be sent again is kept until it is answered: reading, and keyed writes of up to about a thousand short
 * offers. Twice this is taken by a request, one way and the other; idle connections take none.
 */
const BUFFER_BYTES = 131_072;

/** A body up to here always fits, beside its headers (8 KiB at most of them). Whoever sends more is told that it was sent once. */
export const REPEATED_BYTES_MAX = 120 * 1024;

/** What an answer says to a keyed request that the balancer does not send again when its instance dies. */
export const NOT_REPEATED_HEADER = "x-lifeboat-not-repeated";

/** With all of them under way buffers take half a gigabyte. */
const CONNECTIONS_MAX = 2_000;

/** Whoever takes all places at the front takes none of those that read by SQL. */
const FRONT_CONNECTIONS_MAX = 1_500;

/**
 * In which the head of a request has to have come, and what of its body is waited for: a client that sends a byte a minute would
 * else keep its place for ever. An instance gives a whole request a minute as well. What it may take to answer one is more than a
 * write takes (decision 38): a frozen one would else hold what it was sent for as long as idle connections live.
 */
const WAIT_MS = { head: 20_000, body: 60_000, answer: 25_000 } as const;

/** What follows an instance's name where it is asked unchecked. */
export const UNCHECKED = ".unchecked";

/** What instances tell of themselves, to whom. */
const INNER_PAGES = `    # What instances have counted, and each one's health, is for this machine: not for another one, nor for who a proxy passes on.
    acl is_inner path,url_dec -m beg /instances/ /metrics
    acl is_passed_on req.hdr(x-forwarded-for) -m found
    acl is_passed_on req.hdr(forwarded) -m found
    acl is_here src 127.0.0.0/8 ::1
    http-request return status 404 content-type text/plain string nothing if is_inner is_passed_on or is_inner !is_here
`;

/** Only of a path that begins so: INNER_PAGES look at its beginning, and what they let pass must stay what it is. */
const OWN_PAGE = String.raw`replace-path ^/instances/[^/]+/(health.*|metrics)$ /\1`;

/** Of an instance. A name of what others run that does not resolve would else end HAProxy's start, and with it what is on this machine. */
const API_DEFAULTS = "init-addr libc,none inter 500ms fastinter 200ms downinter 500ms fall 2 rise 1 maxconn 512";

/** The text of haproxy.cfg. */
export function renderHaproxy(request: BalancerRequest): string {
  const waitMs = request.waitMs ?? WAIT_MS;
  return `# Written by lifeboat; changes made here are lost.
global
    maxconn ${CONNECTIONS_MAX}
    tune.bufsize ${BUFFER_BYTES}
    # The parent process reloads and the worker serves; state is kept over a reload by handing the listening sockets over.
    stats socket ${quoted(request.statsSocket)} mode 600 level admin expose-fd listeners
    stats timeout 10s
    # How long an old worker may finish its requests after a reload.
    hard-stop-after 30s
    log stdout format raw local0 notice

defaults
    log global
    timeout connect 1s
    timeout client 65s
    timeout server 65s
    timeout queue 5s
    timeout check 1s
    # A connection that cannot be made is tried again at another server; nothing was sent yet.
    retries 3
    option redispatch 1

frontend front
    mode http
    bind 127.0.0.1:${request.frontPort}
${frontLimits(waitMs.head)}    # Who asks without a key is counted by address, and instances see the balancer's only.
    option forwardfor
    http-request return status 200 content-type text/plain string ok if { path ${BALANCER_HEALTH_PATH} }
${INNER_PAGES}${request.pages.map(({ name }) => `    use_backend ${name} if { path_beg /instances/${name}/ }\n`).join("")}    default_backend api
${pageBackends(request.pages)}
backend api
    mode http
    balance leastconn
    option httpchk GET ${API_HEALTH_PATH}
    http-check expect status 200
    # A request that may have had an effect is never sent twice, but for a connection that could not be made; one that says by
    # a key that it may be repeated has no other effect the second time. What an instance refuses is refused: it has waited
    # already, or has more to do than it can. A body that comes behind its headers is waited for, since only a whole request
    # can be sent again.
    option http-buffer-request
    timeout http-request ${waitMs.body}ms
    timeout server ${waitMs.answer}ms
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET or METH_HEAD or { req.hdr(idempotency-key) -m found }
    # Its caller repeats one that does not fit, by its key, and is told so in every answer to it.
    http-request set-var(txn.too_large) bool(true) if { req.hdr(idempotency-key) -m found } { req.body_size gt ${REPEATED_BYTES_MAX} }
    http-request disable-l7-retry if { var(txn.too_large) -m bool }
    http-after-response set-header ${NOT_REPEATED_HEADER} "body larger than ${REPEATED_BYTES_MAX} bytes" if { var(txn.too_large) -m bool }
${ofOneInstance(request.api)}    default-server ${API_DEFAULTS}
${serverLines(request.api, () => "check")}    # Asked while none of the above passes its check.
    option allbackups
${serverLines(unchecked(request.api), () => "backup")}
frontend reads
    mode tcp
    bind 127.0.0.1:${request.readPort}
    # Sessions may be idle for longer than a request takes.
    timeout client 1h
    default_backend readers

backend readers
    mode tcp
    balance first
    timeout server 1h
    option pgsql-check user ${request.checkRole}
    option tcpka
    default-server inter 1s fastinter 200ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${serverLines(request.readers, (index) => (index === 0 ? "check" : "check backup"))}`;
}

function frontLimits(headMs: number): string {
  return `    maxconn ${FRONT_CONNECTIONS_MAX}
    timeout http-request ${headMs}ms
    # Between two requests of one connection, which is else as long.
    timeout http-keep-alive 65s
`;
}

function pageBackends(pages: readonly BalancedServer[]): string {
  return pages
    .map(
      (server) => `
backend ${server.name}
    mode http
    http-request ${OWN_PAGE}
${serverLines([server], () => "")}`,
    )
    .join("");
}

function serverLines(servers: readonly BalancedServer[], options: (index: number) => string): string {
  return servers
    .map((server, index) => {
      const address = "socket" in server ? quoted(`unix@${server.socket}`) : `${server.host}:${server.port}`;
      return `${`    server ${server.name} ${address} ${options(index)}`.trimEnd()}\n`;
    })
    .join("");
}

/** What one instance tells of itself (health, metrics) is found below /instances/<name>/: whoever collects it must know whose it is. */
function ofOneInstance(api: readonly BalancedServer[]): string {
  if (api.length === 0) return "";
  const rules = api.map(({ name }) => `    use-server ${name} if { var(txn.instance) -m str ${name} }\n`).join("");
  return `    http-request set-var(txn.instance) path,field(3,/) if { path_beg /instances/ }
    http-request ${OWN_PAGE}
${rules}`;
}

function unchecked(servers: readonly BalancedServer[]): readonly BalancedServer[] {
  return servers.map((server) => ({ ...server, name: `${server.name}${UNCHECKED}` }));
}

/** As HAProxy reads a word: quotes around what could be anything but one. */
function quoted(word: string): string {
  return /^[\w./:-]+$/.test(word) ? word : `"${word.replace(/[\\"$]/g, "\\$&")}"`;
}
