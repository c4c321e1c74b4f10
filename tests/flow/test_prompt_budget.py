"""The size of a context: all parts together, as the caller counts tokens."""

from __future__ import annotations

import pickle
import re

import pytest

from memoryos.errors import InputError
from memoryos.language.text import estimate_tokens
from memoryos.memory import Memory
from tests.conftest import EngineMaker

ANSWER = "\n\n".join(
    f"## Step {step}\n\n" + "\n".join(f"- Part {part}: mix flour, water and salt number {part}." for part in range(9))
    for step in range(1, 9)
)


def count_words(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def fill(memory: Memory) -> None:
    for number in range(30):
        memory.add_memory(
            f"I baked rye bread number {number} in the oven of my sister Nora.", ANSWER, f"2026-03-{number + 1:02}"
        )
    memory.add_memory(
        "My name is Tom and I live in Porto. I am allergic to nuts.", "I will remember that.", "2026-04-01"
    )
    for number in range(7):
        memory.add_memory(f"What comes after step {number} of the dough?", ANSWER, "2026-04-02")
    memory.force_mid_term_analysis()


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("count", [None, len, count_words])
@pytest.mark.parametrize("max_tokens", [10, 150, 1_000, 3_000])
def test_prompt_has_at_most_the_requested_tokens(make_engine: EngineMaker, count: object, max_tokens: int) -> None:
    given = {} if count is None else {"count_tokens": count}
    memory = make_engine(**given).memory("tom")
    fill(memory)
    counted = estimate_tokens if count is None else count
    found = memory.recall("How did I bake the bread of step 3?", max_tokens=max_tokens)
    alone = found.to_prompt(include_short_term=False, include_profile=False, include_knowledge=False)
    for text in (found.to_prompt(), found.to_prompt(numbered=True), alone):
        assert counted(text) <= max_tokens  # type: ignore[operator]
    assert found.tokens == -(-counted(alone) // 1)  # type: ignore[operator]
    if max_tokens >= 1_000 and count is not len:
        assert counted(found.to_prompt()) > max_tokens / 2  # type: ignore[operator]
        assert "# Recalled from earlier conversations" in found.to_prompt()
        assert "# The conversation so far" in found.to_prompt()


def test_window_has_its_own_budget(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_tokens=400).memory("tom")
    fill(memory)
    found = memory.recall("What is step 7?", max_tokens=2_000)
    window = found.to_prompt(include_profile=False, include_knowledge=False).partition("# The conversation so far")[2]
    assert 100 < estimate_tokens(window) < 450
    assert "What comes after step 6" in window
    assert "## Step 7" in window
    assert "[…]" in window
    assert len(found.short_term) == 7
    unlimited = memory.recall("What is step 7?").to_prompt(include_profile=False, include_knowledge=False)
    assert unlimited.partition("# The conversation so far")[2].count("## Step 7") == 7


SENTENCES = ["We compared hiking routes before lunch.", "The train to the coast was on time.", "Dinner was good soup."]


@pytest.mark.parametrize("position", [0, 3, 6])
def test_fact_in_a_long_page_of_the_window_is_found(make_engine: EngineMaker, position: int) -> None:
    memory = make_engine().memory("tom")
    for number in range(7):
        said = [f"{SENTENCES[part % 3]} Part {number}.{part}." for part in range(40)]
        if number == position:
            said.insert(25, "My passport number is XK-449-201.")
        memory.add_memory(" ".join(said), " ".join(said[:20]))
    for max_tokens in (300, 1_000, None):
        assert "XK-449-201" in memory.recall("What is my passport number?", max_tokens=max_tokens).to_prompt()


def test_very_long_texts_of_the_window_are_reduced_to_their_best_passages(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    said = [f"{SENTENCES[part % 3]} Part {part}." for part in range(2_000)]
    said.insert(300, "My passport number is XK-449-201.")
    memory.add_memory(" ".join(said), "Noted.")
    prompt = memory.recall("What is my passport number?").to_prompt()
    assert "XK-449-201" in prompt
    assert 1_000 < estimate_tokens(prompt) < 4_000


def test_without_tokens_for_the_window_the_newest_pages_are_recalled_like_others(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_tokens=0).memory("tom")
    for number in range(5):
        memory.add_memory(f"Trip {number} was fine.", "Good.")
    memory.add_memory("My passport number is XK-449-201.", "Noted.")
    found = memory.recall("What is my passport number?", max_pages=1)
    assert found.short_term == ()
    assert "XK-449-201" in found.pages[0].page.user_text


@pytest.mark.kinds("sqlite")
def test_recall_can_be_pickled(make_engine: EngineMaker) -> None:
    memory = make_engine().memory("tom")
    fill(memory)
    found = memory.recall("bread", max_tokens=500)
    assert pickle.loads(pickle.dumps(found)).to_prompt() == found.to_prompt()  # noqa: S301  (our own data)


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1, None, "5"])
def test_wrong_result_of_the_token_counter_raises(make_engine: EngineMaker, wrong: object) -> None:
    memory = make_engine(count_tokens=lambda _: wrong).memory("tom")
    memory.add_memory("I live in Porto.", "Nice.")
    with pytest.raises(InputError, match="count_tokens"):
        memory.recall("Porto", max_tokens=100).to_prompt()


@pytest.mark.parametrize("max_tokens", [200, 400, 800, None])
def test_shown_spans_do_not_overlap(make_engine: EngineMaker, max_tokens: int | None) -> None:
    memory = make_engine(short_term_capacity=1).memory("tom")
    memory.add_memory("Please write a recipe.", f"# Rye bread\n\n{ANSWER}")
    memory.add_memory("Thanks.", f"# Rye bread again\n\n{ANSWER}")
    found = memory.recall("How is the rye bread of step 3 and step 7 made?", max_tokens=max_tokens)
    for each in (*found.pages, *found.shown_short_term()):
        for one, other in zip(each.shown, each.shown[1:], strict=False):
            assert one.side != other.side or one.end <= other.start
