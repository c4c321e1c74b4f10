"""A program that speaks the OpenAI protocol gets a memory by a change of its base URL.

Start the server where the key of your endpoint is set, then run this beside it:

    OPENAI_API_KEY=sk-... memoryos serve
    python examples/proxy.py http://127.0.0.1:8078

Each question below is a chat of its own: what the second one knows of the first comes from memory.
"""

import os
import sys

import openai

MODEL = os.environ.get("MODEL", "gpt-4o-mini")
USER = "tom"


def ask(client: openai.OpenAI, question: str) -> str:
    """Returns the answer to a question, printed as it comes."""
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
    """Tells the assistant something, then asks for it in another chat."""
    # The key is one of `memoryos keys create`; a server of your own machine asks for none.
    with openai.OpenAI(base_url=f"{address}/v1", api_key=os.environ.get("MEMORYOS_KEY", "none")) as client:
        ask(client, "My name is Tom and I build wooden boats in Lisbon.")
        ask(client, "Where do I build boats?")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["http://127.0.0.1:8078"]))
