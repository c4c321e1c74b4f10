"""A client of the OpenAI API that gets a memory by changing its base URL to the MemoryOS proxy.

Start the server with the key of your LLM endpoint, then run this program:

    OPENAI_API_KEY=sk-... memoryos serve
    python examples/proxy.py http://127.0.0.1:8078

Each question below is a separate chat, so the second answer can use the first message only through the memory.
"""

import os
import sys

import openai

MODEL = os.environ.get("MODEL", "gpt-4o-mini")
USER = "tom"


def ask(client: openai.OpenAI, question: str) -> str:
    """Returns the answer to a question and prints it while it is streamed."""
    print(f"> {question}")
    answer = ""
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        stream=True,
        extra_headers={"X-MemoryOS-User": USER},
    )
    for event in stream:
        piece = event.choices[0].delta.content if event.choices else None
        print(piece or "", end="", flush=True)
        answer += piece or ""
    print()
    return answer


def main(address: str) -> None:
    """States a fact in one chat and asks for it in another."""
    # Create a key with `memoryos keys create`; a server on a loopback address needs none.
    with openai.OpenAI(base_url=f"{address}/v1", api_key=os.environ.get("MEMORYOS_KEY", "none")) as client:
        ask(client, "My name is Tom and I build wooden boats in Lisbon.")
        ask(client, "Where do I build boats?")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["http://127.0.0.1:8078"]))
