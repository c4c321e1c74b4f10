"""Two charts as SVG for a page of HTML; the page's style holds the colours ``--c0`` to ``--c4``."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["bars", "lines"]

COLOURS = 5
WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 220, 36, 44
FLOOR = HEIGHT - BOTTOM


def lines(title: str, marks: Sequence[int], rows: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Returns a line a row, from 0 to 1, with the band of its interval.

    Args:
        title: Stands above, and is read out.
        marks: Under the points, evenly spaced.
        rows: By name: ``mean``, ``low`` and ``high`` for each mark.
    """
    step = (WIDTH - LEFT - RIGHT) / max(1, len(marks) - 1)
    across = [LEFT + step * place for place in range(len(marks))]
    parts = [_frame(title)]
    for mark, x in zip(marks, across, strict=True):
        parts.append(f'<text x="{x:.0f}" y="{FLOOR + 22}" text-anchor="middle">{mark:,}</text>')
    for number, (name, points) in enumerate(rows.items()):
        upper = [(x, _height(each["high"])) for x, each in zip(across, points, strict=True)]
        lower = [(x, _height(each["low"])) for x, each in zip(across, points, strict=True)]
        middle = [(x, _height(each["mean"])) for x, each in zip(across, points, strict=True)]
        colour = _colour(number)
        parts.append(f'<polygon points="{_points([*upper, *lower[::-1]])}" fill="{colour}" opacity=".14"/>')
        parts.append(f'<polyline points="{_points(middle)}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{escape(name)}: {each["mean"]:.3f}</title>'
            "</circle>"
            for (x, y), each in zip(middle, points, strict=True)
        ]
    return "".join([*parts, _legend(list(rows)), "</svg>"])


def bars(title: str, groups: Sequence[str], rows: Mapping[str, Sequence[float]]) -> str:
    """Returns a bar a row in each group, from 0 to 1.

    Args:
        title: Stands above, and is read out.
        groups: Under the bars.
        rows: By name: a value for each group.
    """
    room = (WIDTH - LEFT - RIGHT) / max(1, len(groups))
    width = room * 0.8 / max(1, len(rows))
    parts = [_frame(title)]
    for place, group in enumerate(groups):
        start = LEFT + room * (place + 0.1)
        parts.append(f'<text x="{start + room * 0.4:.0f}" y="{FLOOR + 22}" text-anchor="middle">{escape(group)}</text>')
        for number, (name, values) in enumerate(rows.items()):
            top = _height(values[place])
            parts.append(
                f'<rect x="{start + width * number:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{FLOOR - top:.1f}" fill="{_colour(number)}"><title>{escape(name)}, {escape(group)}: '
                f"{values[place]:.3f}</title></rect>"
            )
    return "".join([*parts, _legend(list(rows)), "</svg>"])


def _frame(title: str) -> str:
    rules = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_height(share):.0f}" y2="{_height(share):.0f}"/>'
        f'<text x="{LEFT - 8}" y="{_height(share) + 4:.0f}" text-anchor="end">{share:.1f}</text>'
        for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    )
    said = escape(title)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}"><text x="0" y="18">{said}</text>{rules}'


def _legend(names: Sequence[str]) -> str:
    x = WIDTH - RIGHT + 24
    return "".join(
        f'<rect x="{x}" y="{TOP + 24 * number}" width="12" height="12" fill="{_colour(number)}"/>'
        f'<text x="{x + 20}" y="{TOP + 24 * number + 11}">{escape(name)}</text>'
        for number, name in enumerate(names)
    )


def _height(share: float) -> float:
    return FLOOR - share * (FLOOR - TOP)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _colour(number: int) -> str:
    return f"var(--c{number % COLOURS})"
