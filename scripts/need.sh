#!/usr/bin/env bash
# Sees to it that the runtimes of the SDK drivers are there: a JDK (17 or newer)
# with Maven, Python (3.10 or newer) with venv, Node.js with npm. What is missing
# is installed with apt-get if we may, else named.
set -euo pipefail

missing=()
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [[ ${#missing[@]} -gt 0 ]]; then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "the tests with foreign SDKs need what these packages of Debian hold: ${missing[*]}" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "python3 is older than 3.10" >&2; exit 1; }
[[ $(javac -version 2>&1 | sed -E 's/[^0-9]*([0-9]+).*/\1/') -ge 17 ]] || { echo "javac is older than 17" >&2; exit 1; }
