"""Collects all regular expressions of the package and generates texts that may make each of them slow."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import re2

import memoryos
from memoryos.language.matching import Bounded

parser: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
compiler: Any = importlib.import_module("re._compiler" if sys.version_info >= (3, 11) else "sre_compile")

UNIMPORTABLE = ("memoryos.__main__", "memoryos.storage.migrations.env")
"""Importing the first runs the command line, the second needs a running migration. Neither contains a pattern."""
POOL = "ab1 \n.,:<>/\\\"'-_#[{(*`AI是か가é\u200b\x01"
"""Sample characters for the character classes of patterns."""
MOST_SAMPLES = 40
MOST_ATTACKS = 500
Pattern = Any
"""A pattern of ``re`` or RE2, or a ``Bounded`` one."""
KINDS = (re.Pattern, Bounded, re2._Regexp)


@dataclasses.dataclass(frozen=True)
class Attack:
    """A text of any length: a start, a repeated unit and an end."""

    start: str
    unit: str
    end: str

    def text(self, length: int) -> str:
        """Returns the text with about ``length`` characters."""
        times = max(1, (length - len(self.start) - len(self.end)) // max(1, len(self.unit)))
        return self.start + self.unit * times + self.end


def modules() -> list[ModuleType]:
    """Returns every module of the package."""
    names = [each.name for each in pkgutil.walk_packages(memoryos.__path__, "memoryos.")]
    return [importlib.import_module(each) for each in names if each not in UNIMPORTABLE]


def patterns() -> dict[str, Pattern]:
    """Returns the distinct compiled patterns of all modules by their location."""
    found: dict[str, Pattern] = {}
    seen: set[int] = set()
    known: set[tuple[Any, ...]] = set()
    for module in modules():
        for place, pattern in [*_patterns_in(module.__name__, vars(module), seen), *_inline(module)]:
            key = _identity(pattern)
            if key not in known:
                known.add(key)
                found[place] = pattern
    return found


def _identity(pattern: Pattern) -> tuple[Any, ...]:
    if isinstance(pattern, Bounded):
        return pattern.pattern, pattern.flags, pattern.longest
    return pattern.pattern, getattr(pattern, "flags", "RE2")


def _patterns_in(place: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Pattern]]:
    """Yields the patterns in a value of the package, at any depth."""
    if isinstance(value, KINDS):
        yield place, value
        return
    if id(value) in seen or isinstance(value, (str, bytes, int, float, ModuleType)):
        return
    seen.add(id(value))
    for name, part in _parts(value):
        yield from _patterns_in(f"{place}.{name}", part, seen)


def _parts(value: Any) -> Iterable[tuple[object, Any]]:  # noqa: PLR0911  (one kind of value after another)
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (tuple, list, set, frozenset)):
        return list(enumerate(value))
    if not str(getattr(value, "__module__", "")).startswith("memoryos"):
        return []
    if isinstance(value, type):
        return list(vars(value).items())
    if isinstance(value, functools._lru_cache_wrapper):
        wants = inspect.signature(value).parameters
        return [("()", value())] if not wants and "patterns" in value.__name__ else []
    if isinstance(value, FunctionType):
        cells = [each.cell_contents for each in value.__closure__ or () if _is_filled(each)]
        return list(enumerate([*cells, *(value.__defaults__ or ())]))
    if dataclasses.is_dataclass(value):
        return [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    return list(vars(value).items()) if hasattr(value, "__dict__") else []


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def compiled_in_functions() -> dict[str, ast.Call]:
    """Returns the calls of ``re`` inside functions, by module, function and line."""
    return {place: call for module in modules() for place, call in _calls(module)}


def _calls(module: ModuleType) -> Iterator[tuple[str, ast.Call]]:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for node in ast.walk(function):
                if _is_call_of_re(node):
                    yield f"{module.__name__}.{getattr(function, 'name', 'lambda')}:{node.lineno}", node  # type: ignore[attr-defined,misc]


def _is_call_of_re(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"re", "re2"}
        and node.func.attr in {"compile", "search", "match", "fullmatch", "findall", "finditer", "split", "sub", "subn"}
    )


def _inline(module: ModuleType) -> Iterator[tuple[str, Pattern]]:
    """Yields the patterns in functions that depend only on names of the module."""
    for place, call in _calls(module):
        try:
            pattern, flags = evaluated(module, call)
        except NameError:
            continue
        yield place, re.compile(pattern, flags)


def evaluated(module: ModuleType, call: ast.Call) -> tuple[str, int]:
    """Returns pattern and flags of a call of ``re``.

    Raises:
        NameError: If they depend on a variable of the function.
    """
    flags = [each.value for each in call.keywords if each.arg == "flags"] + [
        each for each in call.args[1:] if ast.unparse(each).startswith("re.")
    ]
    pattern = eval(ast.unparse(call.args[0]), vars(module))  # noqa: S307  (our own source)
    return pattern, int(eval(ast.unparse(flags[0]), vars(module))) if flags else 0  # noqa: S307


def attacks(pattern: Pattern) -> list[Attack]:
    """Returns texts that may make the pattern slow, generated from its repetitions, alternatives and beginnings."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    source = re.sub(r"\\p(?:\w|\{\w+\})", "[\u0301\u0323]", source)  # a class that only RE2 has
    flags = getattr(pattern, "flags", 0) & (re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "[[" is a plain class for RE2
        tree = parser.parse(source, flags)
    found = list(_attacks_on(tree, tree, ""))
    repeated = [each for each in found if each[0]]
    others = [each for each in found if not each[0]]
    pairs = dict.fromkeys([*(("", each) for each in _units(source)), *_spread(repeated), *_spread(others)])
    ends = ("\x01", "")
    return [Attack(start, unit, end) for start, unit in pairs if unit for end in ends]


def _spread(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns at most ``MOST_ATTACKS`` items, evenly selected."""
    return found[:: max(1, -(-len(found) // MOST_ATTACKS))]


def _units(source: str) -> list[str]:
    own = [each for each in dict.fromkeys(source) if not each.isalnum() or each > "\u0100"][:24]
    return [*POOL, *own, "a ", "A ", "aA", "a.", "a,", "1 ", " \n", "</", "a'", "一a"]


def _attacks_on(tree: Any, root: Any, before: str) -> Iterator[tuple[str, str]]:
    """Yields (start, unit): the text before a repetition and its repeated text; also every beginning as a unit."""
    for item in tree:
        operation, value = item
        for part in _inner(operation, value):
            yield from _attacks_on(part, root, before)
        if "REPEAT" in str(operation):
            units = _samples(value[2], root)
            yield from ((before, unit) for unit in units)
            yield from ((before, one + other) for one, other in pairwise(units))
        samples = _one(item, root)
        yield from (("", before + each) for each in samples[:6])
        before += samples[0] if samples else ""


def _inner(operation: Any, value: Any) -> list[Any]:
    name = str(operation)
    if name == "BRANCH":
        return list(value[1])
    if name == "SUBPATTERN":
        return [value[-1]]
    if name in {"ASSERT", "ASSERT_NOT"}:
        return [value[1]]
    if name == "ATOMIC_GROUP":
        return [value]
    return [value[2]] if "REPEAT" in name else []


def _samples(tree: Any, root: Any) -> list[str]:
    """Returns short texts that a part of a pattern matches, with each alternative in at least one text."""
    each = [_one(item, root) or [""] for item in tree]
    first = "".join(samples[0] for samples in each)
    found = [first]
    for place, samples in enumerate(each):
        head = "".join(one[0] for one in each[:place])
        tail = "".join(one[0] for one in each[place + 1 :])
        found += [f"{head}{sample}{tail}" for sample in samples[1:]]
    return list(dict.fromkeys(found))[:MOST_SAMPLES]


def _one(item: Any, root: Any) -> list[str]:
    operation, value = item
    name = str(operation)
    if name == "LITERAL":
        return [chr(value)]
    if name in {"ASSERT", "ASSERT_NOT", "AT"}:
        return [""]
    if "REPEAT" in name:
        least, most, part = value
        whole = [each * max(1, least) for each in _samples(part, root)]
        return [*whole, ""] if least == 0 and most else whole
    inner = _inner(operation, value)
    if inner:
        return list(dict.fromkeys(sample for part in inner for sample in _samples(part, root)))[:MOST_SAMPLES]
    return _members(item, root)


def _members(item: Any, root: Any) -> list[str]:
    """Returns characters of a class."""
    one = compiler.compile(parser.SubPattern(root.state, [item]), root.state.flags & ~re.DEBUG)
    own = re.findall(r"LITERAL, (\d+)|RANGE, \((\d+)", str(item))
    own = [chr(int(literal or low)) for literal, low in own]
    return [each for each in dict.fromkeys([*own[:12], *POOL]) if one.fullmatch(each)][:16] or [""]
