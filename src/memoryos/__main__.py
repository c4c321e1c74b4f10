"""``python -m memoryos`` is the command ``memoryos``."""

from __future__ import annotations

from memoryos.doors.entry import main

if __name__ == "__main__":
    main()
