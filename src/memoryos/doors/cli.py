"""The command line ``memoryos``: each command opens the store (the database), does its work and prints the result."""

from __future__ import annotations

import logging
import os
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from memoryos.config import MULTILINGUAL_MODEL
from memoryos.doors import keys_command, maintenance_commands, recall_shapes, shapes, tables
from memoryos.doors.bench_command import bench
from memoryos.doors.demo import play
from memoryos.doors.http.serve_command import serve as serve_http
from memoryos.doors.inspector.ui_command import ui
from memoryos.doors.install import install
from memoryos.doors.mcp_command import mcp as serve_mcp
from memoryos.doors.migrate_command import migrate
from memoryos.doors.session import Session, as_json_option, own_memory, print_json
from memoryos.doors.worker_command import worker
from memoryos.embedding_choice import BUILT_IN
from memoryos.errors import AnalystError, ConfigError, MemoryOSError
from memoryos.language.passages import vector_model

if TYPE_CHECKING:
    from memoryos.assembly import AnalystKind
    from memoryos.memory import Memory

__all__ = ["cli", "main"]

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def main() -> None:
    """Runs the command and exits: 0 on success, 1 on an error, 2 on wrong usage, 130 on an interrupt."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


class _Group(click.Group):
    """A group of commands that prints a ``MemoryOSError`` as a message and exits with code 1.

    Other exceptions are bugs. They are printed with their traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MemoryOSError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("memoryos-engine"), prog_name="memoryos")
@click.option("--user", help="User to whom the memory belongs.  [default: default_user]")
@click.option("--assistant", help="Assistant to whom the memory belongs.  [default: default_assistant_profile]")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database.  [default: ./memoryos_data]")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="JSON file with settings.")
@click.option("-v", "--verbose", is_flag=True, help="Log to stderr.")
@click.pass_context
def cli(
    ctx: click.Context,
    user: str | None,
    assistant: str | None,
    data: Path | None,
    config_file: Path | None,
    verbose: bool,
) -> None:
    """MemoryOS: long-term memory for AI agents."""
    if verbose:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    given = {"user_id": user, "assistant_id": assistant, "data_storage_path": data}
    ctx.obj = Session({name: value for name, value in given.items() if value is not None}, config_file)


@cli.command()
@click.option("--data", "data_file", type=click.Path(path_type=Path), help="LoCoMo file to use instead of the example.")
@click.option("--conversation", default=1, show_default=True, help="Number of a conversation in --data.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the demo's database in this folder.")
def demo(data_file: Path | None, conversation: int, keep: Path | None) -> None:
    """Store an example conversation, show how the memory grows, and ask questions about it."""
    if not play(data_file=data_file, conversation=conversation, keep=keep):
        raise click.ClickException("two or more answers of the demo differ from the expected ones; run memoryos doctor")


@cli.command()
@click.argument("user_input")
@click.argument("agent_response", default="")
@click.option("--at", "timestamp", help="Time of the exchange, ISO 8601.  [default: now]")
@as_json_option
@click.pass_obj
def add(session: Session, user_input: str, agent_response: str, timestamp: str | None, as_json: bool) -> None:
    """Store one exchange (a user message and the assistant's reply) as a page."""
    with session.memory() as memory:
        page = memory.add_memory(user_input, agent_response, timestamp)
    if as_json:
        print_json({"page_id": page.page_id, "seq": page.seq, "at": page.local_at.isoformat()})
    else:
        click.echo(f"stored as page {page.seq} ({page.page_id})")


@cli.command()
@click.argument("query")
@click.option("--max-pages", type=int, help="Maximum number of pages.")
@click.option("--max-tokens", type=int, help="Maximum number of tokens of the whole prompt.")
@click.option("--explain", is_flag=True, help="Show the parts of each score, e.g. words shared with the query.")
@as_json_option
@click.pass_obj
def recall(
    session: Session, query: str, max_pages: int | None, max_tokens: int | None, explain: bool, as_json: bool
) -> None:
    """Show the memory that is relevant to a query: pages, facts and the user's profile."""
    with session.memory() as memory:
        _catch_up(memory)
        found = memory.recall(query, max_pages=max_pages, max_tokens=max_tokens)
    if as_json:
        print_json(recall_shapes.Recall.of(found).as_json())
    elif explain:
        tables.show(tables.recall_table(found))
    else:
        click.echo(found.to_prompt() or "the memory is empty")


@cli.command()
@click.argument("query")
@click.option("--remember/--no-remember", default=True, show_default=True, help="Store question and answer.")
@as_json_option
@click.pass_obj
def ask(session: Session, query: str, remember: bool, as_json: bool) -> None:
    """Answer a question from memory."""
    with session.memory() as memory:
        _catch_up(memory)
        answer = memory.get_response(query, remember=remember)
    if as_json:
        print_json({"answer": str(answer), "sources": list(answer.sources)})
    else:
        click.echo(str(answer))


@cli.command()
@click.pass_obj
def chat(session: Session) -> None:
    """Chat with an assistant that uses the memory. Every exchange is stored. An empty line ends the chat."""
    with session.memory() as memory:
        while query := click.prompt("you", default="", show_default=False, prompt_suffix="> "):
            for piece in memory.get_response(query, stream=True):
                click.echo(piece, nl=False)
            click.echo()
        _catch_up(memory)


@cli.command()
@as_json_option
@click.pass_obj
def profile(session: Session, as_json: bool) -> None:
    """Show the user's profile: attributes (e.g. the user's name) and personality traits."""
    with session.memory() as memory:
        known = memory.profile
    if as_json:
        print_json(shapes.Profile.model_validate(known).as_json())
    else:
        tables.show(tables.profile_table(known))


@cli.command()
@click.option(
    "--about",
    type=click.Choice(["user", "assistant", "both"]),
    default="both",
    show_default=True,
    help="Whom the facts describe.",
)
@click.option("--history", is_flag=True, help="Include facts that were replaced or archived.")
@as_json_option
@click.pass_obj
def knowledge(session: Session, about: str, history: bool, as_json: bool) -> None:
    """Show the facts about the user and the assistant."""
    with session.memory() as memory:
        entries = [entry for entry in memory.knowledge(None, history=history) if about in {"both", entry.about}]
    if as_json:
        print_json([shapes.Knowledge.model_validate(entry).as_json() for entry in entries])
    else:
        tables.show(tables.knowledge_table(entries, datetime.now(timezone.utc)))


@cli.command()
@click.option("--archived", is_flag=True, help="Show archived segments instead of active ones.")
@as_json_option
@click.pass_obj
def segments(session: Session, archived: bool, as_json: bool) -> None:
    """Show the segments of mid-term memory, hottest first.

    A segment contains the pages of one topic. Its heat rises when it is recalled or grows, and falls with time.
    """
    with session.memory() as memory:
        segments_with_heat = memory.heat(archived=archived)
    if as_json:
        print_json([shapes.Segment.of(segment, heat).as_json() for segment, heat in segments_with_heat])
    else:
        tables.show(tables.segments_table(segments_with_heat))


@cli.command()
@as_json_option
@click.pass_obj
def stats(session: Session, as_json: bool) -> None:
    """Show the number of pages, segments, facts and traits, and the number of pages that wait for processing."""
    with session.memory() as memory:
        counts = memory.get_memory_stats()
    if as_json:
        print_json(counts)
    else:
        tables.show(tables.pairs_table("Memory", counts))


@cli.command()
@as_json_option
@click.pass_obj
def cost(session: Session, as_json: bool) -> None:
    """Show the number of LLM calls and tokens for each day, purpose and model."""
    with session.memory() as memory:
        accounts = memory.costs()
    if as_json:
        print_json([shapes.Cost.model_validate(each).as_json() for each in accounts])
    else:
        tables.show(tables.cost_table(accounts))


@cli.command()
@click.option("--analyst", type=click.Choice(["llm", "local"]), help="Reads the pages: an LLM or local rules.")
@click.option("--dry-run", is_flag=True, help="Show the changes without applying them.")
@click.option("--yes", is_flag=True, help="Call the LLM without asking.")
@as_json_option
@click.pass_obj
def rebuild(session: Session, analyst: AnalystKind | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Read all stored pages again: derive all segments, facts and the profile, and show the changes.

    Pages of a release that extracted facts only from hot segments get their facts in this way. With an LLM, the command
    first shows the estimated number of calls and tokens, and asks whether to continue.
    """
    with session.memory() as memory:
        cost = memory.rebuild_cost()
        if analyst == "llm" or (analyst is None and memory.config.has_llm):
            click.echo(
                f"the LLM will read {cost.pages} pages in about {cost.calls} calls, with about "
                f"{cost.prompt_tokens:,} tokens of prompts and {cost.completion_tokens:,} tokens of replies",
                err=True,
            )
            if not yes and sys.stdin.isatty():
                click.confirm("continue?", abort=True, err=True)
        with tables.progress("reading pages", cost.pages) as bar:
            rebuilt = memory.rebuild(analyst, dry_run=dry_run, progress=bar.update)
    if as_json:
        print_json(shapes.Rebuilt.model_validate(rebuilt).as_json())
    else:
        tables.show(tables.rebuilt_table(rebuilt))


@cli.command()
@click.argument("model", type=click.Choice([BUILT_IN, MULTILINGUAL_MODEL]))
@click.pass_obj
def reembed(session: Session, model: str) -> None:
    """Switch the store to another embedding model and compute all vectors again.

    After this command, restart the other processes that use the store. If this command is interrupted, a background
    worker computes the remaining vectors.
    """
    given = session.config()
    if not given.is_embedding_model_auto and given.embedding_model_name != model:
        raise ConfigError(
            "embedding_model_name: the settings choose the embedding model, and settings take precedence over this "
            'command; set embedding_model_name to "auto", remove embedding_base_url and embedding_api_key, and run the '
            "command again"
        )
    with session.engine(embedding_model_name=model) as engine:
        for scope in engine.scopes():
            _catch_up(engine.memory(scope.user_id, scope.assistant_id))
        pages = engine.store.totals.backlog(vector_model(engine.embedder.name)).pages_without_vector
        click.echo(f"the store now uses {engine.embedder.name}; {pages} pages are still to be embedded")


@cli.command()
@as_json_option
@click.pass_obj
def config(session: Session, as_json: bool) -> None:
    """Show every setting with its value and meaning."""
    settings = session.config()
    if as_json:
        print_json(settings.shown())
    else:
        tables.show(tables.config_table(settings))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--all", "whole_store", is_flag=True, help="Export the memories of all users.")
@click.pass_obj
def export(session: Session, file: Path, whole_store: bool) -> None:
    """Export the memory to a new JSON Lines file."""
    with session.engine() as engine:
        count = engine.export(file) if whole_store else own_memory(engine).export(file)
    click.echo(f"{count} pages written to {file}")


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--all", "whole_store", is_flag=True, help="Import an export of all users into the memory of each user.")
@click.pass_obj
def import_(session: Session, path: Path, whole_store: bool) -> None:
    """Import conversations from a file or folder.

    Supported are exports of MemoryOS, ChatGPT and Claude, and lists of messages. The data folder of the original
    program (published with the MemoryOS paper) is supported, too.
    """
    with session.engine() as engine, tables.progress("storing pages") as bar:
        if whole_store:
            loaded = engine.load(path)
            memories = [engine.memory(scope.user_id, scope.assistant_id) for scope in loaded]
            results = list(loaded.values())
        else:
            memory = own_memory(engine)
            memories, results = [memory], [memory.load(path, progress=bar.update)]
        for each in memories:
            _catch_up(each)
    for problem in (problem for result in results for problem in result.problems):
        click.echo(f"note: {problem}", err=True)
    skipped = sum(result.known + result.forgotten for result in results)
    suffix = f", {skipped} skipped as already known or forgotten" if skipped else ""
    click.echo(f"{sum(result.pages for result in results)} pages stored{suffix}")


@cli.command()
@click.option("--page", "page_ids", multiple=True, help="Id of a page to forget; can be repeated.")
@click.option("--knowledge", "knowledge_ids", multiple=True, help="Id of a fact to forget; can be repeated.")
@click.option("--before", help="Forget every page before this time, ISO 8601.")
@click.option("--preview", "query_preview", help="Only show what forgetting the pages of this query would delete.")
@click.option("--everything", is_flag=True, help="Forget the whole memory.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted without deleting it.")
@click.option("--yes", is_flag=True, help="Skip the confirmation.")
@as_json_option
@click.pass_obj
def forget(session: Session, /, dry_run: bool, yes: bool, as_json: bool, **selection: Any) -> None:
    """Delete pages or facts permanently, with everything derived from them."""
    with session.memory() as memory:
        receipt = memory.forget(**selection, dry_run=True)
        if not dry_run and selection["query_preview"] is None:
            if not yes:
                tables.show(tables.forgotten_table(receipt), Console(stderr=True))
                click.confirm("Delete this permanently?", abort=True, err=True)
            receipt = memory.forget(**selection)
            _catch_up(memory)
    if as_json:
        print_json(shapes.Forgotten.model_validate(receipt).as_json())
    else:
        tables.show(tables.forgotten_table(receipt))


@cli.command()
@click.argument("knowledge_id")
@click.argument("text")
@click.pass_obj
def correct(session: Session, knowledge_id: str, text: str) -> None:
    """Replace the text of a fact.

    The command "memoryos knowledge --json" shows the id of each fact.
    """
    with session.memory() as memory:
        corrected = memory.correct(knowledge_id, text)
    click.echo(f"corrected fact {corrected.knowledge_id}")


maintenance_commands.register(cli)
keys_command.register(cli)
cli.add_command(install)
cli.add_command(bench)
cli.add_command(serve_http)
cli.add_command(worker)
cli.add_command(migrate)
cli.add_command(ui)


@cli.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def mcp(arguments: tuple[str, ...]) -> None:
    """Run the MCP server, which gives MCP clients access to the memory, over stdio or HTTP."""
    serve_mcp(list(arguments), prog_name="memoryos mcp")


def _catch_up(memory: Memory) -> None:
    """Processes all waiting pages: computes their vectors, assigns them to segments and extracts facts.

    An error of the analyst (for example of the LLM) is printed as a note. The command still succeeds, because a recall
    also finds pages that are not yet processed.
    """
    due_before = _due_pages(memory)
    if not due_before:
        return
    with tables.progress("reading", due_before) as bar:
        try:
            memory.flush(progress=lambda: bar.update(due_before - _due_pages(memory)))
        except AnalystError as error:
            click.echo(f"note: {_due_pages(memory)} pages are not yet processed: {error}", err=True)


def _due_pages(memory: Memory) -> int:
    counts = memory.get_memory_stats()
    return int(counts["pages_due"] + counts["pages_without_vector"])
