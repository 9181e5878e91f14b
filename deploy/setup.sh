#!/usr/bin/env bash
# Sets a checkout up: virtual environment, pinned dependencies, our packages, RabbitMQ from the distribution.
# Does nothing when nothing changed since the last time. Needs Python 3.11 or newer; as root it installs what is
# missing with apt-get, otherwise it says what to install. PYTHON=... chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp="$venv/.set-up"
inputs=(requirements.lock deploy/build-requirements.lock deploy/setup.sh pyproject.toml)
packages=(shared services/* deploy/cli tests/fakes)

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 3; }

have_rabbitmq() { compgen -G '/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin' >/dev/null || compgen -G '/opt/*rabbitmq*' >/dev/null; }

fingerprint() { cat "${inputs[@]}" "${packages[@]/%//pyproject.toml}" | sha256sum | cut -d' ' -f1; }

installs_with_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
  say "Installing $* with apt-get …"
  apt-get update -qq || say "apt-get update failed; trying with the lists that are there."
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null \
    || fail "apt-get could not install $*: run 'apt-get install $*' to see why."
}

find_python() {
  local candidate
  # The distribution's own build comes first: it is profile-guided, which home-made ones often are not (a third faster).
  for candidate in "${PYTHON:-}" /usr/bin/python3.11 python3.11 python3.12 python3.13 python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python3.11."
}

make_environment() {
  local python
  python=$(find_python)
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    installs_with_apt || fail "Python's venv module is missing: apt-get install python3-venv."
    apt_install python3-venv "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
  fi
  say "Making the virtual environment with $("$python" --version) …"
  "$python" -m venv --clear "$venv"
}

install_packages() {
  local pip=("$venv/bin/python" -m pip -qq --disable-pip-version-check) editable=() package
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
  say "Installing pinned dependencies …"
  "${pip[@]}" install --require-hashes -r requirements.lock -r deploy/build-requirements.lock
  for package in "${packages[@]}"; do
    editable+=(-e "$package")
  done
  "${pip[@]}" install --no-deps --no-build-isolation "${editable[@]}"
  # Also where PYTHONDONTWRITEBYTECODE is set: without byte code every process would compile everything at its start.
  PYTHONDONTWRITEBYTECODE="" "$venv/bin/python" -m compileall -q -j 2 "$venv"/lib "${packages[@]/%//src}" || true
}

install_rabbitmq() {
  installs_with_apt || fail "RabbitMQ is missing: run 'sudo apt-get install rabbitmq-server' and start again."
  # Debian's package starts a node of the system where it can; this file forbids it while we install.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap "rm -f $policy" EXIT
  fi
  apt_install rabbitmq-server
}

if [ "$(cat "$stamp" 2>/dev/null || true)" != "$(fingerprint)" ] || [ ! -x "$venv/bin/nexus" ]; then
  [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null || make_environment
  install_packages
  fingerprint >"$stamp"
fi
have_rabbitmq || install_rabbitmq
