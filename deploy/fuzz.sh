#!/usr/bin/env bash
# Fuzzes every target of the module for a while: fuzz.sh [TIME], such as 3s or 5m, for each.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:-3s}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# deadline tells whether a run failed by nothing but its own end: before Go 1.27 the time given may come up as an error of the target
# (go.dev/issue/75804). Whatever is found is written down, and says so.
deadline() {
  grep -qE '^\s+context deadline exceeded$' "$log" && ! grep -qE 'Failing input|panic:|_test\.go:[0-9]+:' "$log"
}

found=0
while IFS=: read -r file target; do
  found=$((found + 1))
  for _ in 1 2 3; do
    echo "fuzz $target in ${file%/*} for $each"
    # -parallel 2: more workers than cores start slowly and find little in a short run.
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" -parallel 2 "./${file%/*}" 2>&1 | tee "$log" && continue 2
    deadline || exit 1
    echo "fuzz $target: its time ran out at a bad moment, once more"
  done
  exit 1
done < <(grep -rEo --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*' . | sed -e 's#^\./##' -e 's/:func /:/' | sort)
[ "$found" -gt 0 ] || { echo "fuzz.sh: no targets found" >&2; exit 1; }
