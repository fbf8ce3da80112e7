#!/usr/bin/env bash
# Plays seeded schedules of a package's simulator: sim.sh relay|edge N [FIRST], N of them from seed FIRST (1) on.
# A process for each processor, each with a share of the seeds and one thread: a schedule is one line of events, which threads only hand to and fro.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { echo "usage: sim.sh relay|edge N [FIRST]" >&2; exit 2; }
of=$1 n=$2 first=${3:-1} procs=$(nproc)

dir=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
go test -c -o "$dir/sim" "./$of"
cd "$of"
for ((k = 0; k < procs; k++)); do
  from=$((n * k / procs)) to=$((n * (k + 1) / procs))
  GOMAXPROCS=1 GOGC=${GOGC:-1600} "$dir/sim" -test.run 'TestSimulation$' -test.timeout 0 -test.v -sim.n=$((to - from)) -sim.first=$((first + from)) &
  pids+=($!)
done
rc=0
for pid in "${pids[@]}"; do wait "$pid" || rc=1; done
pids=()
exit $rc
