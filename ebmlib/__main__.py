"""``python -m ebmlib``: see :mod:`ebmlib.cli`."""

import sys

from ebmlib.cli import main

sys.exit(main())
