#!/usr/bin/env bash
# Counts the tests in the JSON event files of folders and closes a test run
# with one line: N passed, N failed[, N skipped]. Parents of subtests count, a
# package that fails without a failing test (build error, timeout, leak) counts
# as one failure.
set -euo pipefail
for dir in "$@"; do cat "$dir"/*.json; done 2>/dev/null | awk '
  /"Action":"(pass|fail|skip)"/ {
    act = $0; sub(/.*"Action":"/, "", act); sub(/".*/, "", act)
    pkg = $0; sub(/.*"Package":"/, "", pkg); sub(/".*/, "", pkg)
    if ($0 ~ /"Test":/) { n[act]++; if (act == "fail") inside[pkg] = 1 }
    else if (act == "fail") broken[pkg] = 1
  }
  END {
    for (p in broken) if (!(p in inside)) { n["fail"]++; print "package failed: " p }
    line = n["pass"]+0 " passed, " n["fail"]+0 " failed"
    if (n["skip"] > 0) line = line ", " n["skip"] " skipped"
    print line
  }'
