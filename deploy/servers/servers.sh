#!/usr/bin/env bash
# Real Postgres, Redis and Cassandra for tests and trials, without containers. `servers.sh --help` tells how.
set -euo pipefail

usage() {
  cat <<'X'
servers.sh: real Postgres 15, Redis 7 and Apache Cassandra 5 on this machine, for tests and trials.

  servers.sh start  DIR [postgres] [redis] [cassandra]   install what is missing, start, return when they answer
  servers.sh stop   DIR [NAME...]                        stop by pid; data stays, a later start goes on with it
  servers.sh status DIR [NAME...]                        one line each; exit 1 if one is down
  servers.sh env    DIR [NAME...]                        print how tests reach those that run

No NAME means all three. DIR holds everything of one set: DIR/NAME/{pid,port,log,data}. Ports are free ones, on loopback only,
and stay the same over a stop and start where nobody took them meanwhile. Start again is quick and changes nothing.

  servers.sh start /tmp/stores                           # 8 s, Cassandra is the slow one; the very first time 30 s
  export $(servers.sh env /tmp/stores)                   # STARLING_TEST_POSTGRES, STARLING_TEST_CQL, STARLING_TEST_REDIS
  go test ./core/...
  kill -9 "$(cat /tmp/stores/redis/pid)"                 # a fault; start brings it back
  servers.sh stop /tmp/stores && rm -r /tmp/stores

Postgres and Redis are Debian packages (a package may also start a server of its own on its usual port: never used here).
Cassandra has no package: Maven brings its jars, Java 17 runs them. Missing packages are installed by root or passwordless sudo;
any other user is told which. Root runs Postgres as the user postgres, which must be able to enter DIR.

Environment:
  STARLING_CACHE     where downloads are kept  (${XDG_CACHE_HOME:-~/.cache}/starling)
  CASSANDRA_VERSION  5.0.4
  CASSANDRA_HEAP     1g
  CASSANDRA_SYNC     periodic: kill -9 takes the writes of the last 100 ms along; group: what was acknowledged stays, for ten fsync a second
  CASSANDRA_JAVA     more options of its virtual machine; -XX:TieredStopAtLevel=1 starts in half the time of a processor
  CASSANDRA_TOMBSTONES 100000, deleted rows that one read may pass over
  SERVERS_SLACK      nanoseconds that the kernel may wake servers late (PR_SET_TIMERSLACK); 500000 leaves more of few processors to others
  START_TIMEOUT      120, seconds for all servers to answer
X
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${STARLING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/starling}
cassandra_version=${CASSANDRA_VERSION:-5.0.4}
timeout=${START_TIMEOUT:-120}
[ -z "${SERVERS_SLACK:-}" ] || { echo "$SERVERS_SLACK" >/proc/self/timerslack_ns; } 2>/dev/null || true # all that is started below inherits it, where the kernel knows of it

die() { echo "servers.sh: $*" >&2; exit 1; }

# packages NAME... installs Debian packages.
packages() {
  local root=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || die "missing, and only root can install: apt-get install $*"
    root=(sudo -n)
  fi
  echo "servers.sh: installing $*" >&2
  {
    flock 8
    "${root[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update &&
      "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        install -y --no-install-recommends "$@"
  } 8>"$cache/packages.lock" >"$cache/packages.log" 2>&1 || { tail -n 20 "$cache/packages.log" >&2; die "could not install $*"; }
}

# free_port prints a loopback port that nobody listens on, below the range that the kernel hands out to clients.
free_port() {
  local port
  for _ in {1..200}; do
    port=$((10240 + RANDOM % 20000))
    listening "$port" || { echo "$port"; return; }
  done
  die "no free port found"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# alive NAME: its process runs and is ours; a pid may have gone to somebody else after a crash.
alive() {
  local pid
  pid=$(cat "$dir/$1/pid" 2>/dev/null) && [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$dir/$1"
}

# launch NAME COMMAND... runs a server in a session of its own, with its pid in DIR/NAME/pid.
launch() {
  local name=$1
  shift
  rm -f "$dir/$name/pid"
  setsid bash -c 'echo $$ >"$0/pid.new" && mv "$0/pid.new" "$0/pid" && exec "$@"' "$dir/$name" "$@" \
    </dev/null >"$dir/$name/log" 2>&1 8>&- 9>&- &
  until [ -f "$dir/$name/pid" ]; do sleep 0.01; done
}

. "$here/postgres.sh"
. "$here/redis.sh"
. "$here/cassandra.sh"

# start_all installs, launches every server that is down, then waits for all, so that they start side by side.
start_all() {
  local name started=() begun
  for name in "${names[@]}"; do alive "$name" || "${name}_install"; done
  for name in "${names[@]}"; do
    alive "$name" && continue
    mkdir -p "$dir/$name"
    local port
    port=$(cat "$dir/$name/port" 2>/dev/null || true)
    for _ in {1..50}; do # of a server killed a moment ago it may not be closed yet; clients look for the next one there
      if [ -z "$port" ] || ! listening "$port"; then break; fi
      sleep 0.1
    done
    if [ -z "$port" ] || listening "$port"; then port=$(free_port) && echo "$port" >"$dir/$name/port"; fi
    "${name}_launch" "$port"
    started+=("$name")
  done
  begun=$(date +%s%3N)
  for name in "${names[@]}"; do
    until "${name}_ready" "$(cat "$dir/$name/port")"; do
      # Twice: a process in the middle of its exec has no command line to be known by.
      alive "$name" || { sleep 0.5; alive "$name"; } ||
        { tail -n 20 "$dir/$name/log" >&2; die "$name ended; all it said: $dir/$name/log"; }
      [ $(($(date +%s%3N) - begun)) -lt $((timeout * 1000)) ] || die "$name does not answer after $timeout s: $dir/$name/log"
      sleep 0.1
    done
    case " ${started[*]-} " in
    *" $name "*) echo "$name: up after $(($(date +%s%3N) - begun)) ms on port $(cat "$dir/$name/port")" ;;
    *) echo "$name: up already on port $(cat "$dir/$name/port")" ;;
    esac
  done
}

# stop_all asks all to stop, then waits for each; one that a test froze is woken to hear it.
stop_all() {
  local name pid waited
  for name in "${names[@]}"; do
    alive "$name" || continue
    pid=$(cat "$dir/$name/pid")
    kill -s "$("${name}_signal")" "$pid" 2>/dev/null && kill -s CONT "$pid" 2>/dev/null || true
  done
  for name in "${names[@]}"; do
    waited=0
    while alive "$name"; do
      [ $((waited += 1)) -lt 300 ] || kill -s KILL "$(cat "$dir/$name/pid")" 2>/dev/null || true
      sleep 0.1
    done
    rm -f "$dir/$name/pid"
  done
}

status_all() {
  local name code=0
  for name in "${names[@]}"; do
    if alive "$name" && "${name}_ready" "$(cat "$dir/$name/port")"; then
      echo "$name: up on port $(cat "$dir/$name/port"), pid $(cat "$dir/$name/pid")"
    else
      echo "$name: down" && code=1
    fi
  done
  return $code
}

env_all() {
  local name
  for name in "${names[@]}"; do
    if alive "$name"; then "${name}_env" "$(cat "$dir/$name/port")"; fi
  done
}

case ${1:-} in
start | stop | status | env) action=$1 ;;
-h | --help | help) usage && exit 0 ;;
*) usage >&2 && exit 2 ;;
esac
[ $# -ge 2 ] || { usage >&2; exit 2; }
mkdir -p "$2" "$cache"
dir=$(cd "$2" && pwd)
names=("${@:3}")
[ ${#names[@]} -gt 0 ] || names=(postgres redis cassandra)
for name in "${names[@]}"; do
  case $name in postgres | redis | cassandra) ;; *) die "no server \"$name\": postgres, redis or cassandra" ;; esac
done
case $action in
start | stop) exec 9>"$dir/lock" && flock 9 ;; # one change at a time per set
esac
"${action}_all"
