"""Lets every test module import the helpers in ``fixtures``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "fixtures"))
