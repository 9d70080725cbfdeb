#!/usr/bin/env bash
# The one command: sets everything up, executes the chapters, renders the book.
#   ./run_all.sh            build the book        ./run_all.sh --help   all options
#   ./run_all.sh test       run the tests      ./run_all.sh batch   a chapter with many settings
# This file only finds a Python; everything else is workflow/.
set -u
export EBMLIB_CALLED_FROM="$PWD" # what a relative path on the command line is relative to
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

suitable() { # Python 3.11 or newer that can make a virtual environment
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for python in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python; do
  if suitable "$python"; then
    exec "$python" -m workflow "$@"
  fi
done
echo "run_all.sh: needs Python 3.11 or newer with its venv module and found none; install one (on Debian: apt install python3 python3-venv) or name it: PYTHON=/path/to/python3.12 ./run_all.sh" >&2
exit 1
