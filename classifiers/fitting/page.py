"""The figures of docs/classification.md and their plots, from docs/classification.json. No measuring here."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from classifiers.fitting import plots

FIGURES: Final = "classification.json"
_PAGE: Final = "classification.md"
_BEGIN: Final = "<!-- figures: written by make eval-routing -->"
_END: Final = "<!-- end of figures -->"
_MOST_MISSES: Final = 60
_DIGITS: Final = 4


class PageBroken(Exception):
    """The page lacks the marks between which figures are written."""


def dumped(found: Mapping[str, Any]) -> bytes:
    """Figures as JSON, rounded to what they can tell."""
    return orjson.dumps(_rounded(found), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


def write(docs: Path) -> list[Path]:
    """Write plots and page; the files written.

    Raises:
        PageBroken: the page has lost its marks.
    """
    found = orjson.loads((docs / FIGURES).read_bytes())
    written = []
    for name, drawing in _drawings(found).items():
        (docs / name).write_text(drawing, encoding="utf-8")
        written.append(docs / name)
    page = (docs / _PAGE).read_text(encoding="utf-8")
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise PageBroken(f"{docs / _PAGE} lacks {_BEGIN!r} or {_END!r}")
    text = "\n".join(_figures(found))
    (docs / _PAGE).write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}", encoding="utf-8")
    return [*written, docs / _PAGE]


def _drawings(found: Mapping[str, Any]) -> dict[str, str]:
    drawings = {}
    for name, pair in found["pairs"].items():
        series = {way: pair["ways"][way]["curve"] for way in ("headgate", "length", "random")}
        heights = [y for points in series.values() for _, y in points]
        low, high = min(heights), max(heights)
        margin = 0.05 * (high - low)
        drawings[f"classification-{name}.svg"] = plots.lines(
            name,
            "share of requests to the dear model",
            "mean score",
            series,
            (0.0, 1.0, low - margin, high + margin),
        )
    series = {
        name: [(said, right) for said, right, _ in one["calibration"]] for name, one in found["sets"].items()
    }
    series["as said"] = [(0.0, 0.0), (1.0, 1.0)]
    drawings["classification-calibration.svg"] = plots.lines(
        "confidence", "said", "found right", series, (0.0, 1.0, 0.0, 1.0)
    )
    return drawings


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(map(_cell, row)) + " |"
    yield ""


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.3f}".replace("0.", ".", 1) if isinstance(value, float) and abs(value) < 1 else _whole(value)
    )


def _whole(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _between(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _figures(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _headline(found)
    yield from _sets(found)
    yield from _choices(found)
    yield from _kinds(found)
    yield from _unseen(found)
    yield from _robust(found)
    yield from _missed(found)


def _headline(found: Mapping[str, Any]) -> Iterator[str]:
    sets, claim = found["sets"], found["claim"]
    yield "### In short\n"
    cpu = found["cpu_us"]
    yield from _table(
        ("figure", "found", "bar", "others, measured"),
        [
            (
                "Arena-Hard prompts to the cheapest tier",
                _percent(sets["arena_hard"]["tiers"]["frugal"]),
                "< 10 %",
                "2 to 68 %",
            ),
            (
                "UncommonRoute's SIMPLE to the cheapest tier",
                _percent(found["simple_to_cheapest"]),
                ">= 60 %",
                "92 to 98 %",
            ),
            (
                "three-way accuracy, UncommonRoute",
                _percent(sets["uncommonroute"]["accuracy"]),
                ">= 88 %",
                "36 to 44 % (four-way)",
            ),
            (
                "lift on what models really solved",
                sets["empirical_cheapest_sufficient"]["lift"],
                ">= .045",
                "-.002 to .039",
            ),
            (
                "decided by rules and scorer, of both form sets",
                _percent(claim["decided"]),
                ">= 35 %",
                "claimed 60 %",
            ),
            ("of these too low", _percent(claim["under_routed"]), "< 5 %", ""),
            ("task type, macro F1", found["kinds"]["task_type_macro_f1"], ">= .70", ""),
            (
                "domain code, precision / recall",
                _pair_of(found["kinds"]["domains"]["code"]),
                ">= .90 / .60",
                ".50 / .13",
            ),
            ("expected calibration error, mean over sets", found["mean"]["calibration_error"], "<= .08", ""),
            *_least_and_worst(found),
            *_routing_bars(found),
            ("CPU, 1 kB cut from real requests", f"{cpu['1 kB']:.0f} us", "<= 300 us", "390 us, 3 ms"),
            ("CPU, 100 kB", f"{cpu['100 kB']:.0f} us", "<= 2 ms", ""),
            ("CPU, 1 MB", f"{cpu['1 MB']:.0f} us", "<= 5 ms", ""),
        ],
    )


def _least_and_worst(found: Mapping[str, Any]) -> Iterator[tuple[str, object, str, str]]:
    languages = {name: one["accuracy"] for name, one in found["languages"].items()}
    if languages:
        least = min(languages, key=languages.__getitem__)
        yield (f"least accurate language ({least})", _percent(languages[least]), ">= 80 %", "")
    shares = {
        f"{disturbance}, {name}": share
        for name, own in found["disturbances"].items()
        for disturbance, share in own.items()
    }
    worst = min(shares, key=shares.__getitem__)
    yield (
        f"verdicts unchanged, worst disturbance ({worst})",
        _percent(shares[worst]),
        ">= 90 %",
        "0 to 30 % for several",
    )


def _routing_bars(found: Mapping[str, Any]) -> Iterator[tuple[str, object, str, str]]:
    published = {"routellm_mmlu": "published .603", "routellm_gsm8k": "published .622", "llmrouter_uiuc": ""}
    bars = {"routellm_mmlu": ".60", "routellm_gsm8k": ".57", "llmrouter_uiuc": ".66"}
    for name, bar in bars.items():
        if name in found["crossed"]:
            yield (
                f"APGR, {name}, cross-validated",
                found["crossed"][name]["apgr"],
                f">= {bar}",
                published[name],
            )
    for name, one in found["by_domain"].items():
        own = one["as_good_as_single"]
        told = f"{own['accuracy']:.3f} at {_percent(own['cost_share'])}, single {one['accuracy']:.3f}"
        yield (f"a model per guessed domain, {name}", told, "as good at <= 85 %", "78 to 82 %")


def _pair_of(row: Sequence[float]) -> str:
    return f"{row[0]:.2f} / {row[1]:.2f}"


def _sets(found: Mapping[str, Any]) -> Iterator[str]:
    yield "### Per set\n"
    head = (
        "set",
        "rows",
        "accuracy",
        "95 %",
        "decided",
        "too low",
        "too high",
        "calibration error",
        "lift",
        "95 %",
    )
    rows: list[Sequence[object]] = [
        (
            name, one["rows"], one["accuracy"], _between(one["accuracy_95"]), one["decided"], one["under_routed"],
            one["over_routed"], one["calibration_error"], one["lift"], _between(one["lift_95"]),
        )
        for name, one in found["sets"].items()
    ]  # fmt: skip
    mean = found["mean"]
    rows.append(
        ("mean over sets", "", mean["accuracy"], "", mean["decided"], mean["under_routed"], mean["over_routed"],
         mean["calibration_error"], mean["lift"], "")
    )  # fmt: skip
    yield from _table(head, rows)
    yield "Coverage and precision of each step:\n"
    steps = [
        (name, step, own["share"], own["precision"], _between(own["precision_95"]))
        for name, one in found["sets"].items()
        for step, own in one["steps"].items()
        if own["share"] > 0
    ]
    yield from _table(("set", "step", "coverage", "precision", "95 %"), steps)
    yield "Verdicts by truth, F1, and tiers in mode balanced:\n"
    confusion = [
        (name, truth, *row.values(), one["f1"][truth])
        for name, one in found["sets"].items()
        for truth, row in one["confusion"].items()
        if sum(row.values())
    ]
    yield from _table(("set", "truth", "simple", "moderate", "complex", "F1"), confusion)
    yield from _table(
        ("set", "frugal", "balanced", "premium"),
        [(name, *one["tiers"].values()) for name, one in found["sets"].items()],
    )
    yield "![Confidence as said and as found](classification-calibration.svg)\n"
    yield "Languages of UncommonRoute with ten rows held out or more:\n"
    yield from _table(
        ("language", "rows", "accuracy", "95 %"),
        [
            (name, one["rows"], one["accuracy"], _between(one["accuracy_95"]))
            for name, one in found["languages"].items()
        ],
    )


def _choices(found: Mapping[str, Any]) -> Iterator[str]:
    yield "### A cheap and a dear model\n"
    yield (
        "APGR is the area of the gap between two models that an order of requests recovers; CPT50 and CPT80 are the"
        " shares of calls to the dear model that recover half and four fifths of it. Intervals are bootstrapped.\n"
    )
    rows = [
        (
            name, pair["rows"], way, one["apgr"], _between(one["apgr_95"]), one["cpt50"], one["cpt80"],
            _percent(one["cost_at_95"]),
        )
        for name, pair in found["pairs"].items()
        for way, one in pair["ways"].items()
    ]  # fmt: skip
    yield from _table(
        ("set", "rows", "order", "APGR", "95 %", "CPT50", "CPT80", "cost at 95 % of dear"), rows
    )
    ends = [
        (name, *pair["models"], pair["cheap"], pair["dear"], _percent(pair["cheap_cost"]))
        for name, pair in found["pairs"].items()
    ]
    yield from _table(("set", "cheap", "dear", "always cheap", "always dear", "cheap's cost"), ends)
    for name in found["pairs"]:
        yield f"![{name}](classification-{name}.svg)"
    yield "\nThe same by cross-validation over all given rows (the held-out ones alone are few):\n"
    yield from _table(
        ("set", "rows", "APGR", "95 %"),
        [
            (name, one["rows"], one["apgr"], _between(one["apgr_95"]))
            for name, one in found["crossed"].items()
        ],
    )
    yield "### A model per guessed domain\n"
    yield "Chosen on fitted rows, measured on held-out ones, against the one model that was best on the fitted rows.\n"
    domains = [
        (name, one["rows"], one["models"], way, one[way]["accuracy"], one["accuracy"], _between(one[way]["gain_95"]),
         _percent(one[way]["cost_share"]), one["oracle"])
        for name, one in found["by_domain"].items()
        for way in ("best", "cheapest_within", "as_good_as_single")
    ]  # fmt: skip
    yield from _table(
        (
            "set",
            "rows",
            "models",
            "table",
            "accuracy",
            "best single",
            "gain, 95 %",
            "cost of single",
            "oracle",
        ),
        domains,
    )


def _unseen(found: Mapping[str, Any]) -> Iterator[str]:
    yield "### Sources nothing was learnt from\n"
    yield "Fitted again without each source and all sets that share its prompts; measured on all of its given rows.\n"
    head = (
        "source",
        "rows",
        "cheapest tier",
        "decided",
        "too low",
        "calibration error",
        "lift",
        "domain code",
        "APGR",
    )
    rows = [
        (
            name,
            one["rows"],
            *(one.get(key) for key in ("cheapest", "decided", "under_routed", "calibration_error", "lift")),
            _pair_of(one["code"]) if "code" in one else None,
            one.get("apgr"),
        )
        for name, one in found["unseen"].items()
    ]
    yield from _table(head, rows)


def _kinds(found: Mapping[str, Any]) -> Iterator[str]:
    kinds = found["kinds"]
    yield "### Task type and domain\n"
    for title, rows in (("task type", kinds["task_types"]), ("domain", kinds["domains"])):
        yield from _table(
            (title, "precision", "recall", "rows"), [(name, *row) for name, row in rows.items()]
        )
    yield f"Macro F1 of task types {kinds['task_type_macro_f1']:.3f}; domains right {kinds['domain_accuracy']:.3f}.\n"
    yield "Rules that spoke on held-out rows:\n"
    yield from _table(
        ("rule", "spoke", "right"),
        [(name, one["spoke"], one["right"]) for name, one in found["rules"].items()],
    )


def _robust(found: Mapping[str, Any]) -> Iterator[str]:
    yield "### Disturbances: share of verdicts unchanged\n"
    sets = list(found["disturbances"])
    names = list(found["disturbances"][sets[0]])
    yield from _table(
        ("disturbance", *sets),
        [(name, *(found["disturbances"][one][name] for one in sets)) for name in names],
    )


def _missed(found: Mapping[str, Any]) -> Iterator[str]:
    misses = found["misses"]
    surest = sorted(misses, key=lambda miss: (-miss["confidence"], miss["set"], miss["id"]))[:_MOST_MISSES]
    yield "### Misses\n"
    yield (
        f"{len(misses)} verdicts were too low; [classification.json](classification.json) lists all of them by id and"
        f" digest. The {len(surest)} surest:\n"
    )
    yield from _table(
        ("set", "id", "digest", "truth", "said", "confidence", "by"),
        [
            (m["set"], m["id"], m["digest"], m["truth"], m["said"], m["confidence"], m["source"])
            for m in surest
        ],
    )
