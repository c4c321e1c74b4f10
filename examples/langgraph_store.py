"""Long-term memory of a LangGraph agent, without a key or an LLM.

Install: ``pip install "memoryos-engine[langgraph]"``.
"""

from tempfile import mkdtemp
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from memoryos.integrations.langgraph import MemoryOSStore


class Chat(TypedDict):
    """State of one run of the graph: the user, the message and the memories found for it."""

    user: str
    message: str
    memories: list[str]


def remember(state: Chat, runtime: Runtime[None]) -> dict[str, Any]:
    """Searches the store for memories relevant to the message, then stores the message."""
    namespace = ("users", state["user"])
    if runtime.store is None:
        return {"memories": []}
    memories = [item.value["text"] for item in runtime.store.search(namespace, query=state["message"], limit=2)]
    runtime.store.put(namespace, state["message"], {"text": state["message"]})
    return {"memories": memories}


def main() -> None:
    """Runs the graph three times; the third run finds the message of the first."""
    graph = StateGraph(Chat)
    graph.add_node("remember", remember)
    graph.add_edge(START, "remember")
    graph.add_edge("remember", END)
    with MemoryOSStore(data_storage_path=mkdtemp(), fields=["text"]) as store:
        app = graph.compile(store=store)
        for message in ("I am allergic to walnuts.", "My bicycle is red.", "Which nuts must I not eat?"):
            result = app.invoke({"user": "tom", "message": message, "memories": []})
            print(f"{message} -> {result['memories']}")


if __name__ == "__main__":
    main()
