#!/usr/bin/env bash
# Brings the programs that prove centime from outside: Python packages into a virtual environment,
# Prometheus and Alertmanager from Debian's packages without installing them. Everything lands in $COUNTERPARTS.
# What cannot be had is told; the tests that need it then say that they were not run.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
home="${COUNTERPARTS:?set by the Makefile}"
mkdir -p "$home"

# --- Python ---------------------------------------------------------------------------------
wanted="$here/../python/requirements.txt"
venv="$home/python"
if ! cmp -s "$wanted" "$venv/requirements.installed"; then
  echo "Installing the Python counterparts into $venv"
  if ! python3 -m venv --clear "$venv"; then
    echo "missing: Python's venv module (on Debian: apt install python3-venv)" >&2
    exit 1
  fi
  if ! "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"; then
    echo "missing: the packages of tests/python/requirements.txt could not be installed with pip" >&2
    exit 1
  fi
  cp "$wanted" "$venv/requirements.installed"
fi

# --- FOCUS's validator, which wants a Python of its own --------------------------------------
focus="$home/focus"
if [ ! -x "$focus/bin/focus-validator" ]; then
  rm -rf "$focus"
  # On the path, or where pyenv keeps what is not.
  python312=python3.12
  for python in "$HOME"/.pyenv/versions/3.12.*/bin/python; do
    [ -x "$python" ] && python312="$python"
  done
  if ! { "$python312" -m venv "$focus" && "$focus/bin/pip" install --quiet --disable-pip-version-check \
      'focus-validator==2.2.1' 'pyarrow<22'; } >"$home/focus.log" 2>&1; then
    rm -rf "$focus"
    echo "not here: FOCUS's validator (it needs python3.12); its test will say that it was not run"
  fi
fi

# One of another version than the others, beside them.
wanted="$here/../python/requirements-duckdb.txt"
folder="$venv/duckdb-postgres"
if ! cmp -s "$wanted" "$folder/requirements.installed"; then
  rm -rf "$folder"
  if "$venv/bin/pip" install --quiet --disable-pip-version-check --target "$folder" -r "$wanted"; then
    cp "$wanted" "$folder/requirements.installed"
  else
    echo "missing: the packages of tests/python/requirements-duckdb.txt could not be installed with pip" >&2
    exit 1
  fi
fi

# --- Rust -----------------------------------------------------------------------------------
# A reader of Slack's messages, with dependencies of its own.
if cargo build --quiet --locked --manifest-path "$here/../blockkit/Cargo.toml" \
    --target-dir "${CARGO_TARGET_DIR:-$here/../../target}/blockkit"; then
  cp "${CARGO_TARGET_DIR:-$here/../../target}/blockkit/debug/blockkit" "$home/blockkit"
else
  echo "not here: tests/blockkit could not be built; its test will say that it was not run"
fi

# --- Prometheus and Alertmanager ------------------------------------------------------------
# unpack NAME SUITE PROGRAM PACKAGE...: downloads Debian packages and unpacks them under $home/NAME,
# where PROGRAM is then.
unpack() {
  local name="$1" suite="$2" program="$3"; shift 3
  local folder="$home/$name" apt=()
  [ -x "$folder/usr/bin/$program" ] && return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  rm -rf "$folder" && mkdir -p "$folder/lists/partial" "$folder/archives/partial"
  if [ "$suite" != - ]; then
    # The machine's own mirror, another suite, with lists of its own.
    local mirror
    mirror="$(grep -rhoE '(https?|mirror)[^ ]*/debian/? ' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')"
    [ -n "$mirror" ] || mirror="$(grep -rhoE '^URIs: .*/debian/?$' /etc/apt/sources.list.d 2>/dev/null | head -n 1 | cut -d' ' -f2)"
    [ -n "$mirror" ] || return 1
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keyring] $mirror $suite main" > "$folder/sources.list"
    apt=(-o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/lists")
    apt-get "${apt[@]}" -qq update || return 1
  elif ! apt-cache show "$1" >/dev/null 2>&1; then
    apt-get -qq update || return 1
  fi
  (cd "$folder" && apt-get "${apt[@]}" -qq download "$@") || return 1
  for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$folder" || return 1; done
  rm -rf "$folder"/*.deb "$folder/lists" "$folder/archives"
  [ -x "$folder/usr/bin/$program" ]
}
if ! command -v promtool >/dev/null && ! unpack prometheus - promtool prometheus >"$home/prometheus.log" 2>&1; then
  echo "not here: Prometheus and promtool (on Debian: apt install prometheus); its tests will say that they were not run"
fi
if ! unpack prometheus-3 sid promtool prometheus promtool >"$home/prometheus-3.log" 2>&1; then
  echo "not here: Prometheus 3 (Debian's suite sid); its test will say that it was not run"
fi
# Debian's Alertmanager reads its templates from their installed place, wherever it was unpacked.
templates() {
  local place=/usr/share/prometheus/alertmanager
  [ -e "$place/default.tmpl" ] && return 0
  mkdir -p "${place%/*}" && ln -s "$home/alertmanager$place" "$place"
}
if ! { unpack alertmanager - prometheus-alertmanager prometheus-alertmanager && templates; } >"$home/alertmanager.log" 2>&1; then
  echo "not here: Alertmanager (on Debian: apt install prometheus-alertmanager); its test will say that it was not run"
fi

# --- Clients of the SQL endpoint ------------------------------------------------------------
# Debian keeps psql in a folder of its version; the one in the path is a script of Perl's.
psql_client() {
  local folder="$home/psql" version program library
  [ -x "$folder/usr/bin/psql" ] && return 0
  version="$(apt-cache depends postgresql-client 2>/dev/null | grep -oE 'postgresql-client-[0-9]+' | head -n 1)"
  [ -n "$version" ] || return 1
  unpack psql - psql "$version" libpq5 || true
  program="$(find "$folder" -path '*/bin/psql' 2>/dev/null | head -n 1)"
  library="$(find "$folder" -name 'libpq.so.5' 2>/dev/null | head -n 1)"
  [ -n "$program" ] && [ -n "$library" ] || return 1
  mkdir -p "$folder/usr/bin"
  printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "${library%/*}" "$program" > "$folder/usr/bin/psql"
  chmod +x "$folder/usr/bin/psql"
}
if ! command -v psql >/dev/null && ! psql_client >"$home/psql.log" 2>&1; then
  echo "not here: psql (on Debian: apt install postgresql-client); its test will say that it was not run"
fi
jdbc() {
  [ -e "$home/jdbc/usr/share/java/postgresql.jar" ] && return 0
  command -v java >/dev/null || return 1
  unpack jdbc - java libpostgresql-jdbc-java libscram-java libstringprep-java || true
  [ -e "$home/jdbc/usr/share/java/postgresql.jar" ]
}
if ! jdbc >"$home/jdbc.log" 2>&1; then
  echo "not here: Java 17 and Debian's libpostgresql-jdbc-java; their test will say that it was not run"
fi
go_clients() {
  command -v go >/dev/null || return 1
  (cd "$here/../clients/go" && CGO_ENABLED=0 go build -o "$home/go-clients" .)
}
if ! go_clients >"$home/go-clients.log" 2>&1; then
  echo "not here: Go with pgx and lib/pq; their test will say that it was not run"
fi
