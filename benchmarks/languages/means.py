"""What all vectors of multilingual-e5-small have in common: ``python -m benchmarks.languages.means`` writes it down.

The mean of what is said, and that of what is asked, in the first set: each of its six languages counts as much.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.languages.dialogues import LANGUAGES, read_dialogue
from memoryos.models.multilingual_e5 import MEANS_FILE, MultilingualE5


def main() -> None:
    """Reads the dialogues and writes ``float32[2, 384]``: the mean of texts, and that of questions."""
    embedder = MultilingualE5(threads=2)
    dialogues = [read_dialogue(language) for language in LANGUAGES]
    said = [[text for page in each.pages for text in (page.user, page.assistant) if text] for each in dialogues]
    asked = [[question.text for question in each.questions] for each in dialogues]
    means = [
        np.mean([embedder.raw(texts, is_query=is_query).mean(axis=0) for texts in parts], axis=0)
        for parts, is_query in ((said, False), (asked, True))
    ]
    np.save(Path(str(MEANS_FILE)), np.asarray(means, np.float32), allow_pickle=False)
    sys.stdout.write(f"{MEANS_FILE}: lengths {np.linalg.norm(means, axis=1).round(3).tolist()}\n")


if __name__ == "__main__":
    main()
