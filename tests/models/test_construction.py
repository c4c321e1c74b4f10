"""Constructing an embedder is cheap: heavy packages are imported with the first text."""

from __future__ import annotations

import subprocess
import sys

import pytest

CASES = {
    "openai": (
        "from memoryos.models.openai_embedder import OpenAIEmbedder; "
        "e = OpenAIEmbedder('text-embedding-3-small', api_key=None); e.name, e.dimensions",
        {"openai", "httpx2"},
    ),
    "sentence-transformers": (
        "from memoryos.models.sentence_transformers import SentenceTransformersEmbedder, is_installed; "
        "e = SentenceTransformersEmbedder('model', dimensions=3); e.name, e.dimensions, is_installed()",
        {"sentence_transformers", "torch"},
    ),
    "minilm": (
        "from memoryos.models.minilm import MiniLM; e = MiniLM(); e.name, e.dimensions",
        {"onnxruntime", "tokenizers"},
    ),
}


@pytest.mark.parametrize("embedder", CASES)
def test_construction_imports_no_heavy_package(embedder: str) -> None:
    script, heavy = CASES[embedder]
    check = f"import sys; {script}; assert not {heavy} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
