"""What the tools of the MCP server return, beside text: flat values with a schema each."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = [
    "AddedPage",
    "Answered",
    "ForgetReceipt",
    "Listed",
    "ListedPage",
    "Retrieved",
    "RetrievedFact",
    "RetrievedPage",
    "UserProfile",
]


class AddedPage(BaseModel):
    """A page that was remembered."""

    page_id: str
    seq: int = Field(description="Its position in the memory, from 1.")
    at: str


class RetrievedPage(BaseModel):
    """A page that was found."""

    page_id: str
    at: str
    user: str = Field(description="What the user said, as far as it was found.")
    assistant: str = Field(description="What the assistant said, as far as it was found.")
    score: float


class RetrievedFact(BaseModel):
    """A fact about the user or the assistant."""

    knowledge_id: str
    about: str
    text: str
    source_page_ids: list[str]


class ListedPage(BaseModel):
    """A page of the memory."""

    page_id: str
    seq: int
    at: str
    user: str
    assistant: str


class Retrieved(BaseModel):
    """What is remembered for a query."""

    pages: list[RetrievedPage] = Field(description="Earlier pages, best first.")
    conversation: list[ListedPage] = Field(description="The newest pages, oldest first, whatever the query.")
    attributes: dict[str, str]
    traits: dict[str, str] = Field(description="Level by trait: high, medium or low.")
    knowledge: list[RetrievedFact]
    flagged_page_ids: list[str] = Field(description="Pages that read like instructions to a model; only a record.")


class UserProfile(BaseModel):
    """What is known of the user, and of the assistant."""

    attributes: dict[str, str]
    traits: dict[str, str] = Field(description="Level by trait: high, medium or low.")
    knowledge: list[RetrievedFact]
    assistant_knowledge: list[RetrievedFact]


class Answered(BaseModel):
    """An answer from memory."""

    answer: str
    source_page_ids: list[str]
    answered_by: str


class ForgetReceipt(BaseModel):
    """What was forgotten, or would be."""

    dry_run: bool
    page_ids: list[str]
    answer_page_ids: list[str]
    echo_page_ids: list[str] = Field(description="Other pages that repeat a sentence or a code; they stay.")
    knowledge_ids: list[str]
    attributes: list[str]
    traits: list[str]
    erased: bool
    remains: list[str] = Field(description="What forgetting does not reach; tell the user.")


class Listed(BaseModel):
    """A part of the memory, newest first."""

    pages: list[ListedPage]
    next_before_seq: int | None = Field(description="Ask again with before_seq set to this for older pages.")
