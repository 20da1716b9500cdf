#!/usr/bin/env bash
# Runs every fuzz target of the workspace for the given time (default 20s).
set -euo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0
while IFS=: read -r file target; do
  dir=$(dirname "$file")
  echo "fuzz $dir $target"
  if (cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-20s}" .); then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
done < <(grep -rHoE --include='*_test.go' 'func Fuzz[A-Za-z0-9_]+' core plugin-* server proto client | sed 's/func //')
echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
