"""Line charts as SVG, by hand: no plotting library, and the same figures give the same bytes."""

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 30, 44
_COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#7f7f7f")
_TICKS: Final = 5
_NAMESPACE: Final = "http://www.w3.org/2000/svg"

Points = Sequence[tuple[float, float]]


def lines(
    title: str, across: str, up: str, series: Mapping[str, Points], bounds: tuple[float, float, float, float]
) -> str:
    """One chart. `bounds`: least and most across, least and most up."""
    left, right, low, high = bounds

    def place(point: tuple[float, float]) -> str:
        x = _LEFT + (point[0] - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - (point[1] - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="{_NAMESPACE}" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_WIDTH / 2:.0f}" y="16" text-anchor="middle" font-size="13">{escape(title)}</text>',
        f'<text x="{(_WIDTH + _LEFT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>',
        f'<text transform="translate(12 {_HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
    ]
    for tick in range(_TICKS + 1):
        x, y = left + (right - left) * tick / _TICKS, low + (high - low) * tick / _TICKS
        foot, side = place((x, low)).split(","), place((left, y)).split(",")
        parts.append(f'<text x="{foot[0]}" y="{float(foot[1]) + 14:.1f}" text-anchor="middle">{x:.2g}</text>')
        parts.append(
            f'<text x="{float(side[0]) - 5:.1f}" y="{float(side[1]) + 4:.1f}" text-anchor="end">{y:.2f}</text>'
        )
        parts.append(f'<path d="M{place((left, y))} L{place((right, y))}" stroke="#ddd" fill="none"/>')
    for number, (name, points) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " L".join(map(place, points))
        parts.append(f'<path d="M{path}" stroke="{colour}" stroke-width="1.6" fill="none"/>')
        label_y = _HEIGHT - _BOTTOM - 10 - 14 * (len(series) - 1 - number)
        parts.append(
            f'<text x="{_WIDTH - _RIGHT - 4}" y="{label_y}" text-anchor="end" fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join((*parts, "</svg>\n"))
