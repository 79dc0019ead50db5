#!/bin/sh
# Make the virtual environment $1 with the first Python on PATH that is new enough, or say which package is missing.
set -eu

python=
for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
  if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$name
    break
  fi
done

if [ -z "$python" ]; then
  cat >&2 <<'END'
Banksman needs Python 3.11 or newer, and no python3 on PATH is. Install one:
  Debian 12, Ubuntu 24.04 or newer:  apt-get install python3 python3-venv
  Fedora:                            dnf install python3
  macOS:                             brew install python@3.12
END
  exit 2
fi

# Debian keeps venv's other half, ensurepip, in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  cat >&2 <<END
$(command -v "$python") (Python $version) cannot make virtual environments: its venv module is not complete.
Install the package python$version-venv (Debian, Ubuntu: apt-get install python$version-venv) and run make again.
END
  exit 2
fi

echo "Making $1 with $(command -v "$python")"
exec "$python" -m venv "$1"
