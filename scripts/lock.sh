#!/usr/bin/env bash
# Writes the lock files anew from pyproject.toml. Needs uv and a network; run it
# after changing a dependency, and commit the result. The locks carry hashes and
# no addresses, so that they install from any index or mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

export_lock() { # FILE, then what to export
  local file=$1
  shift
  uv export --quiet --no-config --no-header --no-annotate --no-emit-project "$@" --output-file "$file" >/dev/null
  echo "wrote $file" >&2
}

uv lock --quiet --no-config ${UPGRADE:+--upgrade}
export_lock requirements.lock --extra anthropic --extra cli --extra google --extra mcp --extra openai --extra otel --extra postgres --group dev
export_lock requirements-services.lock --only-group services
export_lock requirements-models.lock --only-group models
export_lock requirements-mcp.lock --only-group mcp-servers
