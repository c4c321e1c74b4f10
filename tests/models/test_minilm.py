"""The built-in embedder with its real model file."""

from __future__ import annotations

import threading

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from memoryos.errors import EmbeddingError
from memoryos.language.languages import language_of
from memoryos.models import minilm
from memoryos.models.minilm import MiniLM
from memoryos.models.minilm_weights import PACKAGES, packaged_file

MODEL = MiniLM()
MIN_COSINE_TO_FP32 = 0.97
MEAN_COSINE_TO_FP32 = 0.99
SENTENCES = [
    "A dog runs in the park.",
    "What did I say about the violin that my aunt repaired in Kyoto?",
    "ok",
    "The interest rate rose again, and so did the price of bread, milk and most other food. " * 12,
    "我儿子在学校丢了蓝色的围巾。",
    "!!!",
]


def test_related_texts_have_higher_cosines_than_unrelated_ones() -> None:
    vectors = MODEL.embed(["A dog runs in the park.", "A puppy plays outside.", "The interest rate rose again."])
    assert vectors.shape == (3, MODEL.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("My son lost his blue scarf at school.", "The interest rate rose again this month."),
        ("Mijn zoon is op school zijn blauwe sjaal kwijtgeraakt.", "De rente is deze maand weer gestegen."),
        ("息子が学校で青いマフラーをなくしました。", "今月また金利が上がりました。"),
        ("Meu filho perdeu o cachecol azul na escola.", "Os juros subiram de novo neste mês."),
        ("Con trai tôi làm mất chiếc khăn xanh ở trường.", "Tháng này lãi suất lại tăng."),
        ("我儿子在学校丢了蓝色的围巾。", "这个月利率又上涨了。"),
    ],
)
def test_unrelated_texts_have_low_cosines_in_every_language(said: str, other: str) -> None:
    one, two = MODEL.embed([said, other])
    assert one @ two < 0.35


@pytest.mark.parametrize("text", ["I met Nguyễn Thảo at the office yesterday.", "Jan van den Berg sold me a car."])
def test_wrongly_detected_language_hardly_changes_the_vector(text: str) -> None:
    assert language_of(text) != "en"
    assert float(np.sum(MODEL.embed([text]) * MODEL.raw([text]))) > 0.85


def test_english_vectors_are_not_corrected() -> None:
    texts = ["A dog runs in the park.", "Wrzosek", "ok", "How was the interest rate again?"]
    assert np.array_equal(MODEL.embed(texts), MODEL.raw(texts))


def test_vector_does_not_depend_on_the_batch() -> None:
    texts = ["short", "a much longer sentence about bread and rye " * 8, "", "你好", "x"]
    together = MODEL.embed(texts)
    alone = np.concatenate([MODEL.embed([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-6)
    loud = ["!" * number for number in range(1, 200, 9)]
    assert np.allclose(MODEL.embed([*loud, *texts])[-len(texts) :], alone, atol=1e-6)


@pytest.fixture(scope="module")
def fp32_vectors() -> NDArray[np.float32]:
    """The vectors of ``SENTENCES`` by the packaged ONNX file itself, which converts its weights to fp32."""
    file = packaged_file(PACKAGES[0])
    assert file is not None
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    _, tokenizer = MODEL._load()
    rows = []
    for sentence in SENTENCES:
        ids = np.array([tokenizer.encode(sentence).ids])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        row = session.run(None, inputs)[0].mean(axis=1)[0]
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)


def test_int8_vectors_are_close_to_fp32_vectors(fp32_vectors: NDArray[np.float32]) -> None:
    cosines = np.sum(MODEL.raw(SENTENCES) * fp32_vectors, axis=1)
    assert cosines.min() > MIN_COSINE_TO_FP32
    assert cosines.mean() > MEAN_COSINE_TO_FP32


def test_vectors_are_the_same_on_processors_without_exact_int8_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_saturates", lambda: True)
    assert np.allclose(MiniLM().embed(SENTENCES), MODEL.embed(SENTENCES), atol=1e-6)


def test_all_products_with_weights_are_int8() -> None:
    content = minilm._asset("int8.onnx").read_bytes()
    assert len(content) < 100_000, "contains weights"
    assert content.count(b"MatMulIntegerToFloat") == 36
    assert content.count(b"MatMul") == 36 + 1, "the other one is the pooling"


@pytest.mark.parametrize(
    "text", ["bread and rye " * 2000, "我" * 900, "각" * 200, " " * 5000 + "rye", "A" * 5000, "\0" * 300]
)
def test_long_text_is_read_to_its_256th_token(text: str) -> None:
    first, longer = MODEL.embed([text[:4_000], text])
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert np.allclose(first, longer, atol=1e-5)


def test_lone_surrogates_raise_an_embedding_error() -> None:
    with pytest.raises(EmbeddingError, match="lone surrogates"):
        MODEL.embed(["lone \ud800"])


def test_threads_share_one_loaded_model() -> None:
    model, found = MiniLM(), []
    threads = [threading.Thread(target=lambda: found.append(model.embed(["the same text"])[0])) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 4
    assert all(np.array_equal(found[0], each) for each in found)
