"""Lets ``python -m memoryos`` run the command ``memoryos``."""

from __future__ import annotations

import os
import sys

if sys.path and sys.path[0] == os.getcwd():  # noqa: PTH109
    del sys.path[0]  # Python files in the current folder must not replace libraries

from memoryos.doors.entry import main

if __name__ == "__main__":
    main()
