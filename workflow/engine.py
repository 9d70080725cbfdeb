"""Snakemake, watched: it and all that it started stop when the front end is gone.

Started by the front end as the leader of a process group of its own.
"""

from __future__ import annotations

import os
import signal
import sys

from workflow import locks

if __name__ == "__main__":
    locks.die_with_parent(lambda: os.killpg(0, signal.SIGKILL))
    from snakemake.cli import main

    main(sys.argv[1:])
