"""Snakemake, watched: it and all that it started stop when the front end is gone.

Started by the front end as the leader of a process group of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from workflow import cluster, locks


def stop() -> None:
    """End Snakemake and its processes; one that has jobs elsewhere takes them out of the queue."""
    if os.environ.get(cluster.RUN):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(cluster.GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # A run in the background is started with interrupts ignored; Snakemake needs them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    locks.die_with_parent(stop)
    from snakemake.cli import main

    main(sys.argv[1:])
