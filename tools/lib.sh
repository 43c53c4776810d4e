# Shared by the scripts in tools/: paths, messages, privileges. Sourced, never run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps_prefix=${SLUICE_DEPS:-$root/build/deps}
jobs=${SLUICE_JOBS:-2}
# What the programs do often, as tools/profile saw it.
profile=$root/bench/profile/edge.proftext
# What is built to run, besides the tests: targets of tools/build.
programs=(src/app/sluice src/app/sluice-edge src/app/sluice-reconciler src/app/mock/sluice-mock bench/load/sluice-load bench/load/sluice-storm)

say() { printf '%s\n' "== $*" >&2; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

# Runs a command as root: directly, or through sudo for a user who has it.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "needs root or sudo for: $*"
  fi
}

# Installs the Debian packages of the argument list that are missing; says nothing if none is.
need_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return 0
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local log
  log=$(mktemp)
  # A package that starts a daemon on installation would take ports: policy-rc.d 101 forbids it.
  local policy=/usr/sbin/policy-rc.d placed=no
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    placed=yes
  fi
  local rc=0
  { as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -yq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || rc=$?
  [ "$placed" = yes ] && as_root rm -f "$policy"
  if [ "$rc" != 0 ]; then tail -n 20 "$log" >&2; rm -f "$log"; die "apt-get failed"; fi
  rm -f "$log"
}

# Runs a stage, prints its seconds.
stage() {
  local name=$1 start=$SECONDS rc=0
  shift
  say "$name"
  "$@" || rc=$?
  say "$name: $((SECONDS - start)) s"
  return "$rc"
}
