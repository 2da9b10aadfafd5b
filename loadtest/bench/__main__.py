"""`make bench`: every figure beside its goal; exit code 1 if one is missed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from loadtest.bench import router
from loadtest.bench.goals import told

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if told(router.figures(Path(folder))) else 1)
