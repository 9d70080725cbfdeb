"""``python -m thesis``: see :mod:`thesis.cli`."""

import sys

from thesis.cli import main

sys.exit(main())
