#!/bin/sh
# Sets up what a profile needs, once, then runs a command under the right Node.js:
#
#   sh tools/set-up/set-up.sh run|check|demo|stack|test [command [argument...]]
#
#   run    Node.js 24 and the packages the program needs
#   check  Node.js 24 and all npm packages
#   demo   as run, and PostgreSQL 15 to 18 from npm
#   stack  as demo, or as run where the system has PostgreSQL 16
#   test   as check and demo, and of Debian's packages PostgreSQL 15, openssl, redis-server, pgbouncer, haproxy and
#          etcd-server
#
# What is done carries a stamp under its node_modules with the digest of its lockfile, written last: an installation
# that was cut short has none and is made again. Two of these at once take turns. Everything is said on stderr.
set -eu

node_major_min=24 # Native type stripping, built-in zstd and node:sqlite.
node_minor_min=7  # crypto.argon2, which opens a vault's key.
system_postgresql=/usr/lib/postgresql/15/bin

say() { printf 'set-up: %s\n' "$*" >&2; }
stop() {
  say "$@"
  exit 1
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
profile=${1:-}
case $profile in
run) want_packages=run want_postgresql=no want_system=no ;;
check) want_packages=all want_postgresql=no want_system=no ;;
demo) want_packages=run want_postgresql=yes want_system=no ;;
stack) want_packages=run want_postgresql=unless-there want_system=no ;;
test) want_packages=all want_postgresql=yes want_system=yes ;;
*) stop "usage: sh tools/set-up/set-up.sh run|check|demo|stack|test [command [argument...]]" ;;
esac
shift
if [ $want_postgresql = unless-there ]; then
  want_postgresql=yes
  [ ! -x /usr/lib/postgresql/16/bin/postgres ] || want_postgresql=no
fi

# --- What is there already -------------------------------------------------------------------------------------------

new_enough() {
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  case "$major$minor" in '' | *[!0-9]*) return 1 ;; esac
  [ "$major" -gt "$node_major_min" ] || { [ "$major" -eq "$node_major_min" ] && [ "$minor" -ge "$node_minor_min" ]; }
}

# The system's Node.js where it is new enough, else the one of toolchain/, put first in PATH.
choose_node() {
  if command -v node >/dev/null 2>&1 && new_enough node; then return 0; fi
  [ -x "$root/toolchain/node_modules/.bin/node" ] || return 1
  stamped "$root/toolchain" all || return 1
  PATH="$root/toolchain/node_modules/.bin:$PATH"
  export PATH
}

stamp_of() {
  digest=$(sha256sum <"$1/package-lock.json")
  printf '%s %s' "$2" "${digest%% *}"
}

# stamped FOLDER KIND: the packages of this lockfile are installed; the kind "all" also serves who asks for "run".
stamped() {
  [ -f "$1/node_modules/.set-up" ] || return 1
  stamp=$(cat "$1/node_modules/.set-up")
  [ "$stamp" = "$(stamp_of "$1" "$2")" ] || [ "$stamp" = "$(stamp_of "$1" all)" ]
}

has_system_packages() {
  [ -x "$system_postgresql/postgres" ] && [ -x "$system_postgresql/psql" ] && has_programs openssl redis-server pgbouncer haproxy etcd
}

# Debian keeps some of these outside an ordinary user's PATH.
has_programs() {
  for program; do
    PATH="$PATH:/usr/local/sbin:/usr/sbin" command -v "$program" >/dev/null 2>&1 || return 1
  done
}

ready() {
  choose_node || return 1
  stamped "$root" $want_packages || return 1
  [ $want_postgresql = no ] || stamped "$root/toolchain/postgresql" all || return 1
  [ $want_system = no ] || has_system_packages
}

# --- Making it so ----------------------------------------------------------------------------------------------------

# install_packages FOLDER WHAT [npm arguments]: leaves no stamp, the caller writes it when all is done.
install_packages() {
  folder=$1 what=$2
  shift 2
  command -v npm >/dev/null 2>&1 || stop "npm is not installed; it comes with Node.js (Debian: apt-get install npm)"
  say "installing $what"
  rm -f "$folder/node_modules/.set-up"
  if ! (cd "$folder" && npm ci --loglevel=error --no-audit --no-fund --no-update-notifier "$@" </dev/null >&2); then
    stop "npm could not install $what (see above): check the network and the npm registry, then run the same command again"
  fi
}

write_stamp() { stamp_of "$1" "$2" >"$1/node_modules/.set-up"; }

set_up_node() {
  choose_node && return 0
  found=$(node --version 2>/dev/null || echo none)
  install_packages "$root/toolchain" "Node.js $node_major_min (this machine has $found)" --ignore-scripts --include=optional
  if ! new_enough "$root/toolchain/node_modules/.bin/node"; then
    stop "there is no packaged Node.js for $(uname -s) $(uname -m): install Node.js $node_major_min.$node_minor_min or newer and run the same command again"
  fi
  write_stamp "$root/toolchain" all
  choose_node
}

set_up_packages() {
  stamped "$root" $want_packages && return 0
  if [ $want_packages = run ]; then
    install_packages "$root" "the packages Lifeboat runs with" --omit=dev
  else
    install_packages "$root" "the packages Lifeboat runs and is checked with" --include=dev --include=optional
  fi
  write_stamp "$root" $want_packages
}

set_up_postgresql() {
  folder=$root/toolchain/postgresql
  stamped "$folder" all && return 0
  # npm keeps no symbolic links in packages. The packages' own script makes them; it is run here and not by npm, so
  # that this works where npm is told to ignore scripts.
  install_packages "$folder" "PostgreSQL 15 to 18" --ignore-scripts --include=optional
  for package in "$folder"/node_modules/postgresql-*; do
    [ -d "$package/native" ] || stop "there is no packaged PostgreSQL for $(uname -s) $(uname -m)"
    (cd "$package" && node scripts/hydrate-symlinks.js) >&2
    "$package/native/bin/postgres" --version >/dev/null || stop "$package/native/bin/postgres does not run on this machine"
  done
  write_stamp "$folder" all
}

set_up_system() {
  has_system_packages && return 0
  command='apt-get install --no-install-recommends postgresql-15 openssl redis-server pgbouncer haproxy etcd-server'
  need="the tests need openssl, redis-server, pgbouncer, haproxy, etcd, and PostgreSQL 15 as Debian packages it ($system_postgresql)"
  [ -f /etc/debian_version ] || stop "$need; this is not Debian or Ubuntu: install it by hand"
  [ "$(id -u)" = 0 ] || stop "$need. Ask root to run: $command"
  say "installing Debian's PostgreSQL 15, redis, PgBouncer, HAProxy and etcd (no server is set up or started)"
  log=$root/.lifeboat/apt.log
  cluster_settings=/etc/postgresql-common/createcluster.conf
  export DEBIAN_FRONTEND=noninteractive
  : >"$log"
  apt update || stop_after_apt "$command"
  apt install --no-install-recommends postgresql-common openssl || stop_after_apt "$command"
  sh "$root/bin/install-programs" redis-server pgbouncer haproxy etcd-server || stop "apt-get failed (see above). Mend that, or install by hand: $command"
  # The server package would create and start a server on port 5432: it is told not to, for this installation only.
  saved_settings=$(mktemp)
  cp "$cluster_settings" "$saved_settings"
  trap 'put_back_settings' EXIT
  printf '\ncreate_main_cluster = false\n' >>"$cluster_settings"
  apt install --no-install-recommends postgresql-15 || stop_after_apt "$command"
  put_back_settings
  has_system_packages || stop "$need; the packages are installed and the programs are not there: see $log"
}

# Waits for another apt to finish, five minutes at most.
apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$log" 2>&1; }

stop_after_apt() {
  tail -n 20 "$log" >&2
  stop "apt-get failed (see above). Mend that, or install by hand: $1. PostgreSQL 15 is in Debian 12; elsewhere add apt.postgresql.org"
}

put_back_settings() {
  trap - EXIT
  cat "$saved_settings" >"$cluster_settings"
  rm -f "$saved_settings"
}

# --- One at a time ---------------------------------------------------------------------------------------------------

set_up() {
  mkdir -p "$root/.lifeboat" || stop "cannot write into $root: set up once as its owner"
  exec 9>"$root/.lifeboat/set-up.lock"
  if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
    say "waiting for another set-up to finish"
    flock 9
  fi
  started=$(date +%s)
  set_up_node
  set_up_packages
  [ $want_postgresql = no ] || set_up_postgresql
  [ $want_system = no ] || set_up_system
  exec 9>&-
  say "ready after $(($(date +%s) - started)) s"
}

ready || set_up
[ $# -eq 0 ] || exec "$@"
