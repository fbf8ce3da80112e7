#!/usr/bin/env bash
# Fuzzes every target of the module for a while: fuzz.sh [TIME], such as 3s or 5m, for each.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:-3s}

found=0
while IFS=: read -r file target; do
  found=$((found + 1))
  echo "fuzz $target in ${file%/*} for $each"
  # -parallel 2: more workers than cores start slowly and find little in a short run.
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" -parallel 2 "./${file%/*}"
done < <(grep -rEo --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*' . | sed -e 's#^\./##' -e 's/:func /:/' | sort)
[ "$found" -gt 0 ] || { echo "fuzz.sh: no targets found" >&2; exit 1; }
