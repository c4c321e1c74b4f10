"""Structure tests: allowed imports, sizes of files and functions, names, annotations and docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlalchemy.types import TypeDecorator

SOURCE = Path(__file__).parents[2] / "src" / "memoryos"
FILES = sorted(each for each in SOURCE.rglob("*.py") if "migrations" not in each.parts)
MODULES = [".".join(each.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__") for each in FILES]

MAX_FILE_LINES = 440
LONG_FILES = {"config.py", "memory.py"}
"""Files with one public class, most of whose lines are documentation."""
MAX_FUNCTION_LINES = 60
USUAL_FUNCTION_LINES = 35

PURE = {
    "memoryos.language.text", "memoryos.language.fence", "memoryos.language.confusables", "memoryos.language.instructions", "memoryos.language.matching", "memoryos.language.normalizing", "memoryos.language.reply_language", "memoryos.language.dates", "memoryos.language.stop_words", "memoryos.language.question_words", "memoryos.language.date_words", "memoryos.language.date_phrases", "memoryos.language.tenses", "memoryos.language.tense_words",
    "memoryos.language.han_date_words", "memoryos.language.languages", "memoryos.language.latin_date_words", "memoryos.language.ascii_words", "memoryos.language.tokens", "memoryos.language.passages",
    "memoryos.language.word_sequence", "memoryos.current_facts", "memoryos.slots",
    "memoryos.model", "memoryos.errors", "memoryos.seams", "memoryos.redaction", "memoryos.secret_shapes",
    "memoryos.updating.heat", "memoryos.updating.segment_matching", "memoryos.updating.stated_facts",
    "memoryos.updating.related_facts", "memoryos.storage.closure_graph",
    "memoryos.retrieval.words", "memoryos.retrieval.question", "memoryos.retrieval.ranking", "memoryos.retrieval.recall",
    "memoryos.retrieval.recalled_items", "memoryos.retrieval.excerpts", "memoryos.retrieval.prompt_lines", "memoryos.retrieval.selection",
    "memoryos.retrieval.packing", "memoryos.retrieval.arrays", "memoryos.retrieval.segments", "memoryos.generation.prompt",
}  # fmt: skip
VALUES = {
    "memoryos.private_files",
    "memoryos.model",
    "memoryos.time_zones",
    "memoryos.errors",
    "memoryos.seams",
    "memoryos.slots",
    "memoryos.current_facts",
    "memoryos.config",
    "memoryos.language",
    "memoryos.optional_methods",
}
LAYERS: dict[str, set[str]] = {
    "memoryos.model": {"memoryos.time_zones"},
    "memoryos.time_zones": {"memoryos.errors"},
    "memoryos.errors": set(),
    "memoryos.identifiers": set(),
    "memoryos.slots": set(),
    "memoryos.current_facts": {"memoryos.identifiers", "memoryos.language", "memoryos.model", "memoryos.slots"},
    "memoryos.seams": set(),
    "memoryos.optional_methods": set(),
    "memoryos.config": {"memoryos.errors", "memoryos.redaction", "memoryos.time_zones"},
    "memoryos.redaction": {"memoryos.errors", "memoryos.secret_shapes"},
    "memoryos.secret_shapes": set(),
    "memoryos.language": {"memoryos.language"},
    "memoryos.inputs": {"memoryos.model", "memoryos.errors", "memoryos.time_zones"},
    "memoryos.private_files": set(),
    "memoryos.transfer": {"memoryos.errors", "memoryos.inputs", "memoryos.private_files"},
    "memoryos.storage": VALUES | {"memoryos.storage", "memoryos.identifiers"},
    "memoryos.models": VALUES | {"memoryos.models"},
    "memoryos.analysts": VALUES | {"memoryos.analysts"},
    "memoryos.generation": VALUES | {"memoryos.generation"},
    "memoryos.retrieval": VALUES | {"memoryos.retrieval", "memoryos.storage"},
    "memoryos.updating": VALUES
    | {
        "memoryos.updating",
        "memoryos.storage",
        "memoryos.identifiers",
        "memoryos.retrieval.snapshot",
        "memoryos.retrieval.working_sets",
    },
    "memoryos.testing": VALUES | {"memoryos.testing"},
    "memoryos.integrations": VALUES
    | {"memoryos.integrations", "memoryos.engine", "memoryos.inputs", "memoryos.memory", "memoryos.generation.prompt"}
    | {"memoryos.models.query_cache", "memoryos.retrieval.retriever"},
}
NO_IO = {
    "os",
    "sqlite3",
    "sqlalchemy",
    "socket",
    "subprocess",
    "threading",
    "time",
    "pathlib",
    "io",
    "tempfile",
    "urllib",
}
BANNED = re.compile(
    r"qa_?pair|dialog_|(?<!re)turn_id|meta_?info|importance|personality|private_data|tenant|namespace|chunk|"
    r"(?<!context)manager|helper|(?<!sh)util|(?<!HTTPRequest)handler\b", re.IGNORECASE,
)  # fmt: skip


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path) -> set[str]:
    """Returns the modules that a file imports when it is loaded; imports for types and inside functions don't count."""
    found: set[str] = set()

    def visit(nodes: list[ast.stmt]) -> None:
        for node in nodes:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
                visit(node.body)

    visit(tree(file).body)
    return found


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield file, node


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns the lines of a function without its signature and docstring, which explain and do nothing."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_is_below_it(layer: str) -> None:
    for file in FILES:
        module = module_of(file)
        if module == layer or module.startswith(f"{layer}."):
            ours = {each for each in imported(file) if each.startswith("memoryos")}
            forbidden = {
                each for each in ours if not any(each == ok or each.startswith(f"{ok}.") for ok in LAYERS[layer])
            }
            assert not forbidden, f"{module} imports {forbidden}"


def test_nothing_but_the_doors_imports_a_door() -> None:
    for file in FILES:
        if "doors" not in file.parts and file.name != "__main__.py":
            assert not {each for each in imported(file) if each.startswith("memoryos.doors")}
        if "integrations" not in file.parts:
            assert not {each for each in imported(file) if each.startswith("memoryos.integrations")}


def test_pure_files_touch_neither_clock_nor_disk() -> None:
    analysts = {each for each in MODULES if each.startswith("memoryos.analysts.")} - {
        "memoryos.analysts.fallback_analyst"
    }
    pure = [each for each in FILES if module_of(each) in PURE | analysts]
    assert len(pure) > len(PURE)
    for file in pure:
        assert not {each.split(".")[0] for each in imported(file)} & NO_IO, file
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\.now\(|\.utcnow\(|\.today\(|\bopen\(", text), file


def all_imports(file: Path) -> set[str]:
    """Returns the project modules that a file imports anywhere: at the top, for types only, or inside a function."""
    found: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & set(MODULES) or {node.module}
    return found & set(MODULES)


def cycles(graph: Mapping[str, set[str]]) -> list[str]:
    """Returns the import cycles of a graph, as "a → b → a"; empty if there are none."""
    found: list[str] = []
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            found.append(" → ".join((*path[path.index(module) :], module)))
        elif module not in done:
            for each in sorted(graph[module]):
                visit(each, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())
    return found


def test_no_import_cycles_of_any_kind() -> None:
    assert cycles({module_of(file): all_imports(file) - {module_of(file)} for file in FILES}) == []


def test_import_cycles_are_found(tmp_path: Path) -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b → c → b"]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from memoryos.memory import Memory\n"
        "def late():\n    from memoryos.storage import page_log\n    import memoryos.engine\n"
    )
    assert all_imports(file) == {"memoryos.memory", "memoryos.storage.page_log", "memoryos.engine"}


CONCRETE_BASES = {
    ("Memoryos", "Memory"),  # adds the documented constructor
    ("QueryCache", "CompleteEmbedder"),  # an adapter that overrides one method
    ("_CallerConnection", "Connection"),  # an MCP connection with the memory of the caller's key
}
"""Pairs of a class and its concrete base class that are allowed. A class is not split into parts by inheritance."""


def concrete_bases(names: Iterable[str]) -> set[tuple[str, str]]:
    """Returns the pairs of a class and a concrete base class, both of the project.

    Errors, data models of pydantic and column types of SQLAlchemy form hierarchies by design. A base class with
    abstract methods and a protocol are interfaces.
    """
    hierarchies = (BaseException, BaseModel, TypeDecorator)
    return {
        (each.__name__, base.__name__)
        for name in names
        for each in vars(importlib.import_module(name)).values()
        if inspect.isclass(each) and each.__module__ == name and not issubclass(each, hierarchies)
        for base in each.__bases__
        if base.__module__.startswith("memoryos.")
        and not inspect.isabstract(base)
        and not getattr(base, "_is_protocol", False)
    }


def test_no_class_is_split_by_inheritance() -> None:
    assert concrete_bases(each for each in MODULES if not each.endswith("__main__")) == CONCRETE_BASES


def test_files_are_short() -> None:
    long_files = {file.name for file in FILES if len(file.read_text().splitlines()) > MAX_FILE_LINES}
    assert long_files <= LONG_FILES


def test_functions_are_short() -> None:
    sizes = [(body_lines(node), f"{file.name}:{node.name}") for file, node in functions()]
    assert [each for each in sizes if each[0] > MAX_FUNCTION_LINES] == []
    assert sorted(size for size, _ in sizes)[int(len(sizes) * 0.95)] <= USUAL_FUNCTION_LINES


def test_everything_is_annotated() -> None:
    for file, node in functions():
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        missing = [each.arg for each in given if each.annotation is None and each.arg not in {"self", "cls"}]
        assert not missing, (file, node.name, missing)
        assert node.returns is not None, (file, node.name)


def test_names_come_from_the_glossary() -> None:
    for file in FILES:
        if "analysts" in file.parts or "language" in file.parts:
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.alias):
                continue
            name = getattr(node, "name", None) or getattr(node, "id", None) or getattr(node, "arg", None)
            if isinstance(name, str) and not (
                file.name == "langgraph.py" and "namespace" in name.lower()
            ):  # LangGraph's word
                assert not BANNED.search(name), f"{file}: {name}"


@pytest.mark.parametrize("name", [each for each in MODULES if not each.endswith("__main__")])
def test_all_is_complete_sorted_and_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    if not hasattr(module, "__all__"):
        assert Path(str(module.__file__)).name == "__init__.py", f"{name} has no __all__"
        return
    assert len(module.__all__) == len(set(module.__all__))  # the linter keeps them sorted
    for each in module.__all__:
        value = getattr(module, each)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{name}.{each}"


def test_errors_are_drawn_on_top() -> None:
    errors = importlib.import_module("memoryos.errors")
    assert errors.__doc__ is not None
    assert all(each in errors.__doc__ for each in errors.__all__)
    assert all(issubclass(getattr(errors, each), errors.MemoryOSError) for each in errors.__all__)


def test_nothing_prints_and_only_worker_and_group_commit_catch_all_errors() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])print\(", text), file
        if file.name not in {"worker.py", "group_commit.py"}:
            assert not re.search(r"except (?:Exception|BaseException)?:|except Exception", text), file


@cache
def protocol_members() -> frozenset[str]:
    """Returns the names of all methods and properties of the protocols in ``memoryos.seams``."""
    return frozenset(
        each.name
        for node in ast.walk(tree(SOURCE / "seams.py"))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
        for each in node.body
        if isinstance(each, ast.FunctionDef)
    )


@cache
def implementations() -> frozenset[str]:
    """Returns the names of the protocols and of all classes with a method of an embedder, analyst or chat model.

    ``Memory.embed`` is another method than ``Embedder.embed``.
    """
    names = set()
    for node in (node for file in FILES for node in ast.walk(tree(file))):
        if isinstance(node, ast.ClassDef):
            methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
            if methods & {"embed", "complete"} or methods >= {"read", "profile"}:
                names.add(node.name)
    return frozenset(names - {"Memory"} | {"QueryEmbedder", "LanguageLimited", "Immediate", "Closeable", "Meter"})


def forbidden_checks(source: str) -> list[str]:
    """Returns the calls that look up a protocol method by its name or test for a class that implements a protocol."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1):
            continue
        argument = node.args[1]
        if node.func.id in {"getattr", "hasattr"} and isinstance(argument, ast.Constant):
            is_forbidden = argument.value in protocol_members()
        else:
            names = {each.id for each in ast.walk(argument) if isinstance(each, ast.Name)}
            is_forbidden = node.func.id in {"isinstance", "issubclass"} and bool(names & implementations())
        if is_forbidden:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_optional_protocol_methods_are_declared_and_never_looked_up_by_name(file: Path) -> None:
    assert forbidden_checks(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "call",
    [
        'getattr(embedder, "languages", None)',
        'hasattr(model, "close")',
        "isinstance(analyst, FallbackAnalyst)",
        "isinstance(embedder, (MiniLM, QueryEmbedder))",
        "isinstance(model, memoryos.seams.ChatModel | OpenAIChat)",
    ],
)
def test_lookups_of_protocol_methods_are_found(call: str) -> None:
    assert forbidden_checks(f"x = {call}") == [ast.unparse(ast.parse(call))]
