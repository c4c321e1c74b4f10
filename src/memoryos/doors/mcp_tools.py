"""The tools of the MCP server. Each tool calls the memory, and returns a short text and a structured result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field, ValidationError

from memoryos.doors.mcp_connection import explained
from memoryos.doors.mcp_replies import (
    AddedPage,
    Answered,
    ForgetReceipt,
    Listed,
    ListedPage,
    Retrieved,
    RetrievedFact,
    RetrievedPage,
    UserProfile,
    attribute_values,
)
from memoryos.language.fence import indented, one_line
from memoryos.retrieval.prompt_lines import profile_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.doors.mcp_connection import Connection
    from memoryos.model import Knowledge, Page

__all__ = ["build_tools"]

_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
_ASKS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
_FORGETS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

MAX_SEQ = 2**63 - 1
UserId = Annotated[str | None, Field(description="User to whom the memory belongs; default: the server's user.")]
AssistantId = Annotated[
    str | None, Field(description="Assistant to whom the memory belongs; default: the server's assistant.")
]


def build_tools(connection: Connection) -> list[Tool]:
    """Returns all tools of the MCP server.

    Args:
        connection: Provides the memories that the tools use.
    """
    tools: list[Tool] = []
    _add_writing_tools(tools, connection)
    _add_reading_tools(tools, connection)
    _add_listing_tools(tools, connection)
    _add_forgetting_tool(tools, connection)
    return tools


class _StrictTool(Tool):
    """A tool that rejects unknown arguments and reports invalid arguments in one line."""

    async def run(self, arguments: dict[str, Any], context: Any, convert_result: bool = False) -> Any:
        try:
            return await super().run(arguments, context, convert_result)
        except UnexpectedToolError as error:
            raise UnexpectedToolError(f"{error}: internal server error; see the server's log (stderr)") from error
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.__cause__.errors())
            valid = ", ".join(self.fn_metadata.arg_model.model_fields)
            raise ToolError(f"{faults[:500]}. Call again with valid arguments: {valid}.") from error.__cause__


def _tool(tools: list[Tool], title: str, annotations: ToolAnnotations) -> Callable[[Callable[..., Any]], None]:
    """Returns a decorator that adds a function to ``tools`` as an MCP tool. The tool rejects unknown arguments."""

    def register(function: Callable[..., Any]) -> None:
        tool = _StrictTool.from_function(function, title=title, annotations=annotations)
        tool.fn_metadata.arg_model.model_config["extra"] = "forbid"
        tool.fn_metadata.arg_model.model_rebuild(force=True)
        tool.parameters = tool.fn_metadata.arg_model.model_json_schema()
        tools.append(tool)

    return register


def _add_writing_tools(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "Remember an exchange", _ADDS)
    def add_memory(
        user_input: Annotated[str, Field(description="The user's message; may be empty if agent_response is not.")],
        agent_response: Annotated[
            str, Field(description="The assistant's reply; may be empty if user_input is not.")
        ] = "",
        timestamp: Annotated[str | None, Field(description="Time of the exchange, ISO 8601; default: now.")] = None,
        meta_data: Annotated[dict[str, Any] | None, Field(description="Metadata to store with the exchange.")] = None,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, AddedPage]:
        """Stores one exchange permanently. When the call returns, it is on disk and can be found."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            page = memory.add_memory(user_input, agent_response, timestamp or None, meta_data)
        added = AddedPage(page_id=page.page_id, seq=page.seq, at=page.local_at.isoformat())
        return _result(f"Stored as page {page.seq}.", added)

    @_tool(tools, "Ask the memory", _ASKS)
    def ask_memory(
        query: Annotated[str, Field(description="The question.")],
        relationship_with_user: Annotated[
            str, Field(description="The assistant's relationship to the user.")
        ] = "friend",
        style_hint: Annotated[str, Field(description="Style of the answer.")] = "",
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, Answered]:
        """Answers a question from memory. Without an LLM, the answer consists of quotations. Stores nothing."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            answer = memory.get_response(query, relationship_with_user, style_hint, remember=False)
        by = answer.origin.analyst if answer.origin else ""
        return _result(str(answer), Answered(answer=str(answer), source_page_ids=list(answer.sources), answered_by=by))


def _add_reading_tools(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "Look something up in memory", _READS)
    def retrieve_memory(
        query: Annotated[str, Field(description="A question or keywords to search for.")],
        relationship_with_user: Annotated[
            str, Field(description="The assistant's relationship to the user.")
        ] = "friend",
        style_hint: Annotated[str, Field(description="Style of your answer.")] = "",
        max_results: Annotated[int, Field(description="Maximum number of pages.", ge=1, le=100)] = 10,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, Retrieved]:
        """Returns the memories relevant to a query: profile, facts, earlier pages with dates. No LLM is called."""
        with explained(ToolError):
            recall = connection.memory(user_id, assistant_id).recall(query, max_pages=max_results)
        hints = f"(You are their {relationship_with_user}.{f' Style: {style_hint}.' if style_hint.strip() else ''})"
        found = Retrieved(
            pages=[
                RetrievedPage(
                    page_id=each.page.page_id,
                    at=each.page.local_at.isoformat(),
                    user=each.text("user"),
                    assistant=each.text("assistant"),
                    score=round(each.score, 4),
                )
                for each in recall.pages
            ],
            conversation=[
                _listed(each.page, user=each.text("user"), assistant=each.text("assistant"))
                for each in recall.shown_short_term()
            ],
            attributes=attribute_values(recall.profile),
            traits={each.dimension: each.level for each in recall.profile.traits},
            knowledge=[_fact(each.knowledge) for each in recall.knowledge],
            flagged_page_ids=list(recall.flagged),
        )
        text = recall.to_prompt(numbered=True)
        return _result(f"{hints}\n\n{text}" if text else "The memory is empty.", found)

    @_tool(tools, "Show the user's profile", _READS)
    def get_user_profile(
        include_knowledge: Annotated[bool, Field(description="Include facts about the user.")] = True,
        include_assistant_knowledge: Annotated[bool, Field(description="Include facts about the assistant.")] = False,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, UserProfile]:
        """Returns the user's profile: attributes, traits and facts."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            profile = memory.profile
            about_user = memory.knowledge("user") if include_knowledge else []
            about_assistant = memory.knowledge("assistant") if include_assistant_knowledge else []
        known = UserProfile(
            attributes=attribute_values(profile),
            traits={each.dimension: each.level for each in profile.traits},
            knowledge=[_fact(each) for each in about_user],
            assistant_knowledge=[_fact(each) for each in about_assistant],
        )
        lines = profile_lines(profile) + [f"- {one_line(entry.text)}" for entry in (*about_user, *about_assistant)]
        return _result("\n".join(lines) or "The profile is empty.", known)


def _add_listing_tools(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "List memories", _READS)
    def list_memories(
        limit: Annotated[int, Field(description="Maximum number of pages.", ge=1, le=200)] = 20,
        before_seq: Annotated[
            int | None, Field(description="Return only pages before this seq (position).", ge=1, le=MAX_SEQ)
        ] = None,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, Listed]:
        """Lists the stored exchanges with their ids, newest first."""
        with explained(ToolError):
            pages = connection.memory(user_id, assistant_id).newest_pages(limit + 1, before_seq=before_seq)
        shown = pages[:limit]
        older = shown[-1].seq if len(pages) > limit else None
        listed = Listed(
            pages=[_listed(page, user=page.user_text, assistant=page.assistant_text) for page in shown],
            next_before_seq=older,
        )
        lines = [f"{page.seq}. [{page.day}] {indented(page.user_text or page.assistant_text)}" for page in shown]
        return _result("\n".join(lines) or "The memory is empty.", listed)

    @_tool(tools, "Show memory statistics", _READS)
    def memory_stats(user_id: UserId = None, assistant_id: AssistantId = None) -> dict[str, Any]:
        """Returns the number of pages, segments, facts and traits, the amount of due work, and the last error."""
        with explained(ToolError):
            return connection.memory(user_id, assistant_id).get_memory_stats()


def _add_forgetting_tool(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "Forget for good", _FORGETS)
    def forget_memory(
        page_ids: Annotated[list[str] | None, Field(description="Ids of pages, from list_memories.")] = None,
        knowledge_ids: Annotated[list[str] | None, Field(description="Ids of facts, from get_user_profile.")] = None,
        query: Annotated[
            str | None, Field(description="Previews the deletion of all pages that match. Deletes nothing.")
        ] = None,
        confirm: Annotated[bool, Field(description="False: preview only. True: delete permanently.")] = False,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, ForgetReceipt]:
        """Deletes pages or facts by id, with everything derived from them. Show the user a preview first."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            if not (query or page_ids or knowledge_ids):
                raise ToolError(
                    "Nothing was selected. Pass `page_ids` or `knowledge_ids`, or `query` to list matching pages."
                )
            if query:
                receipt = memory.forget(query_preview=query)
            else:
                receipt = memory.forget(
                    page_ids=page_ids or (), knowledge_ids=knowledge_ids or (), dry_run=not confirm, erase=None
                )
        done = ForgetReceipt.model_validate(receipt, from_attributes=True)
        counts = f"{len(done.page_ids)} pages and {len(done.knowledge_ids)} facts"
        if done.dry_run:
            return _result(f"Would delete {counts}. Call again with their ids and confirm=true.", done)
        return _result(f"Deleted {counts}. {' '.join(done.remains)}", done)


def _listed(page: Page, *, user: str, assistant: str) -> ListedPage:
    return ListedPage(page_id=page.page_id, seq=page.seq, at=page.local_at.isoformat(), user=user, assistant=assistant)


def _fact(entry: Knowledge) -> RetrievedFact:
    return RetrievedFact.model_validate(entry, from_attributes=True)


def _result(text: str, value: BaseModel) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=value.model_dump(mode="json")
    )
