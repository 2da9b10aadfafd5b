"""`make bench`: every figure beside its goal; exit code 1 if one is missed."""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from loadtest.bench import router, validation
from loadtest.bench.goals import told

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        figures = itertools.chain(validation.figures(), router.figures(Path(folder)))
        sys.exit(0 if told(figures) else 1)
