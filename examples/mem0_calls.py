"""A program written for mem0 that runs on MemoryOS after changing one import; it needs no key and no LLM."""

from tempfile import mkdtemp

from memoryos.integrations.mem0 import Memory


def main() -> None:
    """Adds, searches, updates and deletes memories."""
    with Memory(data_storage_path=mkdtemp()) as memory:
        messages = [
            {"role": "user", "content": "I am allergic to walnuts."},
            {"role": "assistant", "content": "I will leave them out of the recipes."},
        ]
        added = memory.add(messages, user_id="tom", metadata={"topic": "food"})["results"]
        memory.add("My bicycle is red.", user_id="tom")

        found = memory.search("Which nuts must he not eat?", filters={"user_id": "tom"}, top_k=1)["results"]
        print(found[0]["memory"])

        memory.update(added[0]["id"], "I am allergic to walnuts and hazelnuts.")
        print([(each["event"], each["new_memory"]) for each in memory.history(added[0]["id"])])

        memory.delete(added[0]["id"])
        print([each["memory"] for each in memory.get_all(user_id="tom")["results"]])


if __name__ == "__main__":
    main()
