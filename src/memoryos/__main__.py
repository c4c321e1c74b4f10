"""``python -m memoryos`` is the command ``memoryos``."""

from __future__ import annotations

import os
import sys

if sys.path and sys.path[0] == os.getcwd():  # noqa: PTH109
    del sys.path[0]  # whatever lies in the folder where a client starts the server is no library of ours

from memoryos.doors.entry import main

if __name__ == "__main__":
    main()
