# Part of servers.sh: Postgres, from Debian's package, with a superuser and a database starling, open to this machine alone.

postgres_bin() {
  local bins=(/usr/lib/postgresql/*/bin/postgres)
  printf '%s\n' "${bins[@]}" | sort -V | tail -n 1 | xargs dirname
}

# postgres_run COMMAND... as a user that Postgres agrees to run as: it refuses root.
postgres_run() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups "$@"; else "$@"; fi
}

postgres_install() { [ -x "$(postgres_bin)/postgres" ] || packages postgresql-15; }

postgres_launch() {
  local data=$dir/postgres/data bin
  bin=$(postgres_bin)
  if [ ! -f "$data/PG_VERSION" ]; then
    rm -rf "$data" && mkdir -m 700 "$data"
    if [ "$(id -u)" = 0 ]; then chown postgres: "$data"; fi
    postgres_run test -x "$data" || die "the user postgres cannot enter $data: every folder above it needs o+x"
    (cd / && postgres_run "$bin/initdb" --no-sync -A trust -U starling -E UTF8 --locale=C.UTF-8 -D "$data") \
      >"$dir/postgres/log" 2>&1 || { cat "$dir/postgres/log" >&2; die "initdb"; }
  fi
  rm -f "$data/postmaster.pid" # left by a kill -9; that ours is gone, start_all has checked
  local command=("$bin/postgres" -D "$data" -p "$1" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200)
  if [ "$(id -u)" = 0 ]; then command=(setpriv --reuid=postgres --regid=postgres --init-groups "${command[@]}"); fi
  launch postgres "${command[@]}"
}

# postgres_ready also makes the database, once.
postgres_ready() {
  local url=postgres://starling@127.0.0.1:$1
  psql -qAt "$url/starling" -c 'SELECT 1' >/dev/null 2>&1 && return
  psql -qAt "$url/postgres" -c 'CREATE DATABASE starling' >/dev/null 2>&1
}

postgres_signal() { echo INT; } # ends open sessions; TERM would wait for them

postgres_env() { echo "STARLING_TEST_POSTGRES=postgres://starling@127.0.0.1:$1/starling?sslmode=disable"; }
