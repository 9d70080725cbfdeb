"""``python -m ebmlib``: see :mod:`ebmlib.cli`."""

import os
import sys

# Before PyTorch is loaded: threads that spin while they wait make a training many times slower on a
# busy machine (benchmarks/threads.py); the bits of a result do not depend on it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from ebmlib.cli import main

sys.exit(main())
