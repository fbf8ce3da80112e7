#!/usr/bin/env bash
# run-real.sh DIR [FLAG...] starts a real Postgres, Cassandra and Redis and a mesh on them; ctrl-C stops the mesh, then the servers. DIR keeps all
# of it for the next time. FLAGs are those of starling dev.
set -euo pipefail
servers=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/servers/servers.sh
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
trap '"$servers" stop "$dir/servers"' EXIT
export CASSANDRA_SYNC="${CASSANDRA_SYNC:-group}" # there is no second node that has what it acknowledged
"$servers" start "$dir/servers" postgres cassandra redis
eval "$("$servers" env "$dir/servers" | sed -e 's/=/="/' -e 's/$/"/')"
trap : INT TERM # the mesh hears ctrl-C, too, and drains
"$(dirname "$servers")/../../bin/starling" dev --data "$dir/mesh" --postgres "$STARLING_TEST_POSTGRES" --cql "$STARLING_TEST_CQL" \
  --redis "$STARLING_TEST_REDIS" "$@"
