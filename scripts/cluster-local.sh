#!/usr/bin/env bash
# cluster-local.sh: three members of a cluster on this machine, on loopback, until
# Ctrl-C. Main ports are 8848, 8858 and 8868; each member also has the ports 1000
# and 1001 above its own. Data stays in data/cluster/1..3, and so does the secret.
#
#   scripts/cluster-local.sh            start, or go on with the data there is
#   scripts/cluster-local.sh --fresh    forget the data first
#
# LOCAL_CLUSTER_DIR and LOCAL_CLUSTER_PORT name another folder and main port.
#
# Then, in another terminal:
#   bin/batata cluster list --data-dir data/cluster/1
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${LOCAL_CLUSTER_DIR:-data/cluster}
base=${LOCAL_CLUSTER_PORT:-8848}
[[ ${1:-} == --fresh ]] && rm -rf "$dir"
[[ -x bin/batata ]] || make build
mkdir -p "$dir"
if [[ ! -s $dir/secret ]]; then
  (umask 077; head -c 48 /dev/urandom | base64 -w0 >"$dir/secret")
fi

members=127.0.0.1:$base,127.0.0.1:$((base + 10)),127.0.0.1:$((base + 20))
pids=()
stop() {
  trap - INT TERM EXIT
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait "${pids[@]}" 2>/dev/null || true
}
trap 'stop; exit 0' INT TERM
trap stop EXIT

for i in 1 2 3; do
  BATATA_CLUSTER_SECRET_FILE=$dir/secret bin/batata server --data-dir "$dir/$i" \
    --set nacos.standalone=false --set nacos.member.list="$members" \
    --set server.bind=127.0.0.1 --set nacos.server.main.port=$((base + 10 * (i - 1))) \
    --set server.drain=0s >"$dir/$i.log" 2>&1 &
  pids+=($!)
done

for i in 1 2 3; do
  port=$((base + 10 * (i - 1)))
  for _ in $(seq 120); do
    bin/batata health --set nacos.server.main.port=$port >/dev/null 2>&1 && break
    if ! kill -0 "${pids[i - 1]}" 2>/dev/null; then
      echo "member $i ended:" >&2
      tail -5 "$dir/$i.log" >&2
      exit 1
    fi
    sleep 0.5
  done
  bin/batata health --set nacos.server.main.port=$port >/dev/null || { echo "member $i is not ready, see $dir/$i.log" >&2; exit 1; }
  echo "member $i: http://127.0.0.1:$port, log in $dir/$i.log"
done
bin/batata cluster list --data-dir "$dir/1"
echo "Ctrl-C ends all three."
wait -n "${pids[@]}" || true
echo "a member has ended, so do the others"
