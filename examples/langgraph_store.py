"""A LangGraph agent's long-term memory: ``pip install "memoryos-engine[langgraph]"``, no key and no LLM needed."""

from tempfile import mkdtemp
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from memoryos.integrations.langgraph import MemoryOSStore


class Chat(TypedDict):
    """What a run of the graph is about."""

    user: str
    said: str
    known: list[str]


def remember(state: Chat, runtime: Runtime[None]) -> dict[str, Any]:
    """Looks up what fits, then keeps what was said."""
    mine = ("users", state["user"])
    if runtime.store is None:
        return {"known": []}
    known = [item.value["text"] for item in runtime.store.search(mine, query=state["said"], limit=2)]
    runtime.store.put(mine, state["said"], {"text": state["said"]})
    return {"known": known}


def main() -> None:
    """Runs the graph three times; the last time it knows what was said the first time."""
    graph = StateGraph(Chat)
    graph.add_node("remember", remember)
    graph.add_edge(START, "remember")
    graph.add_edge("remember", END)
    with MemoryOSStore(data_storage_path=mkdtemp(), fields=["text"]) as store:
        app = graph.compile(store=store)
        for said in ("I am allergic to walnuts.", "My bicycle is red.", "Which nuts must I not eat?"):
            found = app.invoke({"user": "tom", "said": said, "known": []})
            print(f"{said} -> {found['known']}")


if __name__ == "__main__":
    main()
