"""The tools of the MCP server: each reads its arguments, calls the memory, and answers in short text and values."""

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
)
from memoryos.language.fence import indented, one_line
from memoryos.retrieval.recall import profile_lines

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
UserId = Annotated[str | None, Field(description="Whose memory; default: the server's user.")]
AssistantId = Annotated[str | None, Field(description="With which assistant; default: the server's.")]


def build_tools(connection: Connection) -> list[Tool]:
    """Returns the tools, those that write first."""
    tools: list[Tool] = []
    _add_writing_tools(tools, connection)
    _add_reading_tools(tools, connection)
    _add_listing_tools(tools, connection)
    _add_forgetting_tool(tools, connection)
    return tools


class _StrictTool(Tool):
    """A tool that refuses arguments it does not know, and says in one line what is wrong with the others."""

    async def run(self, arguments: dict[str, Any], context: Any, convert_result: bool = False) -> Any:
        try:
            return await super().run(arguments, context, convert_result)
        except UnexpectedToolError as error:
            raise UnexpectedToolError(f"{error}: an error of the server; its log (stderr) says more") from error
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.__cause__.errors())
            known = ", ".join(self.fn_metadata.arg_model.model_fields)
            raise ToolError(f"{faults[:500]}. Call again; {self.name} takes {known}.") from error.__cause__


def _tool(tools: list[Tool], title: str, annotations: ToolAnnotations) -> Callable[[Callable[..., Any]], None]:
    def keep(function: Callable[..., Any]) -> None:
        tool = _StrictTool.from_function(function, title=title, annotations=annotations)
        tool.fn_metadata.arg_model.model_config["extra"] = "forbid"
        tool.fn_metadata.arg_model.model_rebuild(force=True)
        tool.parameters = tool.fn_metadata.arg_model.model_json_schema()
        tools.append(tool)

    return keep


def _add_writing_tools(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "Remember an exchange", _ADDS)
    def add_memory(
        user_input: Annotated[str, Field(description="What the user said; may be empty if the assistant spoke.")],
        agent_response: Annotated[str, Field(description="What the assistant said; may be empty likewise.")] = "",
        timestamp: Annotated[str | None, Field(description="When, ISO 8601; default: now.")] = None,
        meta_data: Annotated[dict[str, Any] | None, Field(description="Anything to keep with it.")] = None,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, AddedPage]:
        """Remembers one exchange for good. It is on disk, and can be found, when this returns."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            page = memory.add_memory(user_input, agent_response, timestamp or None, meta_data)
        added = AddedPage(page_id=page.page_id, seq=page.seq, at=page.at.isoformat())
        return _result(f"Remembered as page {page.seq}.", added)

    @_tool(tools, "Ask the memory", _ASKS)
    def ask_memory(
        query: Annotated[str, Field(description="The question.")],
        relationship_with_user: Annotated[str, Field(description="What the assistant is to the user.")] = "friend",
        style_hint: Annotated[str, Field(description="How to answer.")] = "",
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, Answered]:
        """Answers a question from memory, by the configured LLM or by quoting. The exchange is not remembered."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            answer = memory.get_response(query, relationship_with_user, style_hint, remember=False)
        by = answer.origin.analyst if answer.origin else ""
        return _result(str(answer), Answered(answer=str(answer), source_page_ids=list(answer.sources), answered_by=by))


def _add_reading_tools(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "Look something up in memory", _READS)
    def retrieve_memory(
        query: Annotated[str, Field(description="What to look for, as a question or in key words.")],
        relationship_with_user: Annotated[str, Field(description="What the assistant is to the user.")] = "friend",
        style_hint: Annotated[str, Field(description="How the answer will be given.")] = "",
        max_results: Annotated[int, Field(description="Pages at most.", ge=1, le=100)] = 10,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, Retrieved]:
        """Returns what is remembered for a query: profile, facts, earlier pages with dates. No model is called."""
        with explained(ToolError):
            recall = connection.memory(user_id, assistant_id).recall(query, max_pages=max_results)
        hints = f"(You are their {relationship_with_user}.{f' Style: {style_hint}.' if style_hint.strip() else ''})"
        found = Retrieved(
            pages=[
                RetrievedPage(
                    page_id=each.page.page_id,
                    at=each.page.at.isoformat(),
                    user=each.page.user_text if "user" in each.shown else "",
                    assistant=each.page.assistant_text if "assistant" in each.shown else "",
                    score=round(each.score, 4),
                )
                for each in recall.pages
            ],
            conversation=[_listed(page) for page in recall.short_term],
            attributes={each.name: each.value for each in recall.profile.attributes},
            traits={each.dimension: each.level for each in recall.profile.traits},
            knowledge=[_fact(each.knowledge) for each in recall.knowledge],
            flagged_page_ids=list(recall.flagged),
        )
        text = recall.to_prompt(numbered=True)
        return _result(f"{hints}\n\n{text}" if text else "Nothing is remembered yet.", found)

    @_tool(tools, "Show the user's profile", _READS)
    def get_user_profile(
        include_knowledge: Annotated[bool, Field(description="Facts about the user too.")] = True,
        include_assistant_knowledge: Annotated[bool, Field(description="Facts about the assistant too.")] = False,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, UserProfile]:
        """Returns what is known of the user: attributes, traits, facts."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            profile = memory.profile
            about_user = memory.knowledge("user") if include_knowledge else []
            about_assistant = memory.knowledge("assistant") if include_assistant_knowledge else []
        known = UserProfile(
            attributes={each.name: each.value for each in profile.attributes},
            traits={each.dimension: each.level for each in profile.traits},
            knowledge=[_fact(each) for each in about_user],
            assistant_knowledge=[_fact(each) for each in about_assistant],
        )
        lines = profile_lines(profile) + [f"- {one_line(entry.text)}" for entry in (*about_user, *about_assistant)]
        return _result("\n".join(lines) or "Nothing is known of the user yet.", known)


def _add_listing_tools(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "List memories", _READS)
    def list_memories(
        limit: Annotated[int, Field(description="Pages at most.", ge=1, le=200)] = 20,
        before_seq: Annotated[int | None, Field(description="Only pages before this one.", ge=1, le=MAX_SEQ)] = None,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, Listed]:
        """Lists remembered exchanges with their ids, newest first."""
        with explained(ToolError):
            pages = connection.memory(user_id, assistant_id).newest_pages(limit + 1, before_seq=before_seq)
        shown = pages[:limit]
        older = shown[-1].seq if len(pages) > limit else None
        listed = Listed(pages=[_listed(page) for page in shown], next_before_seq=older)
        lines = [f"{page.seq}. [{page.at.date()}] {indented(page.user_text or page.assistant_text)}" for page in shown]
        return _result("\n".join(lines) or "Nothing is remembered yet.", listed)

    @_tool(tools, "Show memory statistics", _READS)
    def memory_stats(user_id: UserId = None, assistant_id: AssistantId = None) -> dict[str, Any]:
        """Returns counts of every tier, what waits to be consolidated, and the last error."""
        with explained(ToolError):
            return connection.memory(user_id, assistant_id).get_memory_stats()


def _add_forgetting_tool(tools: list[Tool], connection: Connection) -> None:
    @_tool(tools, "Forget for good", _FORGETS)
    def forget_memory(
        page_ids: Annotated[list[str] | None, Field(description="Ids of pages, from list_memories.")] = None,
        knowledge_ids: Annotated[list[str] | None, Field(description="Ids of facts, from get_user_profile.")] = None,
        query: Annotated[str | None, Field(description="Only shows what it finds; nothing is deleted by it.")] = None,
        confirm: Annotated[bool, Field(description="False only shows what would go. True deletes for good.")] = False,
        user_id: UserId = None,
        assistant_id: AssistantId = None,
    ) -> Annotated[CallToolResult, ForgetReceipt]:
        """Forgets pages or facts by id, with all that was derived. Show the user what would go before you confirm."""
        with explained(ToolError):
            memory = connection.memory(user_id, assistant_id)
            if not (query or page_ids or knowledge_ids):
                raise ToolError("Give page_ids or knowledge_ids; or a query, to see the ids of what it finds.")
            if query:
                receipt = memory.forget(query_preview=query)
            else:
                receipt = memory.forget(
                    page_ids=page_ids or (), knowledge_ids=knowledge_ids or (), dry_run=not confirm, erase=None
                )
        done = ForgetReceipt.model_validate(receipt, from_attributes=True)
        counts = f"{len(done.page_ids)} pages and {len(done.knowledge_ids)} facts"
        if done.dry_run:
            return _result(f"Would forget {counts}. Call again with their ids and confirm=true.", done)
        return _result(f"Forgot {counts}. {' '.join(done.remains)}", done)


def _listed(page: Page) -> ListedPage:
    return ListedPage(
        page_id=page.page_id, seq=page.seq, at=page.at.isoformat(), user=page.user_text, assistant=page.assistant_text
    )


def _fact(entry: Knowledge) -> RetrievedFact:
    return RetrievedFact.model_validate(entry, from_attributes=True)


def _result(text: str, value: BaseModel) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=value.model_dump(mode="json")
    )
