"""``python -m neuromorph``: the command line."""

from __future__ import annotations

import sys

from neuromorph.cli import main

sys.exit(main())
