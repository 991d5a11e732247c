#!/usr/bin/env bash
# Makes .venv from requirements.lock with nothing but python3 and its venv module.
# Says what it does on stderr. Stamps make a second run a no-op that needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }
die() {
  say "$*"
  exit 1
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if is_new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  die "lash needs Python 3.11 or newer; found $(${PYTHON:-python3} --version 2>&1 || true)." \
    "Install one, or name it: make PYTHON=/path/to/python3.12"
}

digest() { sha256sum "$@" | sha256sum | cut -d' ' -f1; }

# A stamp names everything its step depended on. A moved folder breaks the
# scripts in .venv/bin, so its path is part of it.
is_stamped() { [ "$(cat ".stamps/$1" 2>/dev/null)" = "$2" ]; }
stamp() {
  mkdir -p .stamps
  echo "$2" >".stamps/$1"
}

locked="$(digest requirements.lock) $PWD"
project="$(digest pyproject.toml) $PWD"

if ! { is_stamped venv "$locked" && is_new_enough .venv/bin/python; }; then
  python=$(find_python)
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    die "$python has no venv module. On Debian: apt-get install python3-venv"
  say "creating .venv with $("$python" --version)"
  rm -rf .stamps/venv .stamps/project
  "$python" -m venv --clear .venv
  say "installing $(grep -c '==' requirements.lock) locked packages"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --only-binary :all: -r requirements.lock >&2
  stamp venv "$locked"
fi

if ! is_stamped project "$project"; then
  say "installing lash into .venv, editable"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
    --no-build-isolation --editable . >&2
  stamp project "$project"
fi
