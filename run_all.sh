#!/usr/bin/env bash
# The one command: sets everything up, executes the chapters, renders the book.
#   ./run_all.sh            build the book        ./run_all.sh --help   all options
#   ./run_all.sh test       run the tests      ./run_all.sh batch   a chapter with many settings
# This file only finds its folder and a Python; everything else is workflow/.
if [ -z "${BASH_VERSION:-}" ]; then # in words that every shell understands
  echo "run_all.sh: needs bash, and another shell reads it; start it as ./run_all.sh, or: bash run_all.sh" >&2
  exit 1
fi
set -u
unset CDPATH # with it, cd goes where nobody meant it to

here() { # the folder of this file, also when it was called through links
  local file=$1 target
  while [ -L "$file" ]; do
    target=$(readlink -- "$file") || return
    case $target in /*) file=$target ;; *) file=$(folder "$file")/$target ;; esac
  done
  folder "$file"
}

folder() {
  case $1 in */*) printf '%s' "${1%/*}/" ;; *) printf ./ ;; esac
}

export EBMLIB_CALLED_FROM="$PWD" # what a relative path on the command line is relative to
builtin cd -P -- "$(here "${BASH_SOURCE[0]}")" || exit 1

suitable() { # Python 3.11 or newer that can make a virtual environment
  "$1" -E -s -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for python in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python; do
  if suitable "$python"; then
    # -E -s: no PYTHONPATH, PYTHONHOME, PYTHONSAFEPATH and the like, no packages of the user's own;
    # what the processes started from here inherit is decided in workflow/surroundings.py.
    exec "$python" -E -s -m workflow "$@"
  fi
done
echo "run_all.sh: needs Python 3.11 or newer with its venv module and found none; install one (on Debian: apt install python3 python3-venv) or name it: PYTHON=/path/to/python3.12 ./run_all.sh" >&2
exit 1
