"""`headgate classify`: what would this request be taken for? Without `--micro` nothing is called."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import orjson

from classifiers.asking.messages import looked_at
from classifiers.cascade import THRESHOLDS, Cascade, Thresholds, entry, settled
from classifiers.scorer import Scorer, load
from classifiers.types import Ask
from proxy.assembly.classifiers import own_rules
from proxy.cli.api import DEFAULT_URL, URL_VARIABLE, Api, checked_key, checked_url
from proxy.cli.configuration import read_or_exit
from proxy.routing.verdicts import verdict_told
from proxy.settings.schema import DEFAULT_MODES, Settings

_COLUMNS: Final = ("id", "complexity", "task_type", "domain", "confidence", "source", "rule", "tier")
_WIDTHS: Final = (18, 10, 12, 16, 10, 8, 24, 10)


Row = dict[str, Any]


class _Request(NamedTuple):
    name: str
    messages: list[Mapping[str, Any]]
    tools: list[Any]


@click.command()
@click.argument("text", required=False)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help='JSON lines of {"id", "prompt"} or {"id", "messages"}, with "tools" if any; - is standard input.',
)
@click.option("--mode", default="balanced", show_default=True, help="Whose tier is shown.")
@click.option("--config", type=click.Path(path_type=Path), help="For own rules, modes and min_confidence.")
@click.option(
    "--micro", is_flag=True, help="Let a running gateway ask its micro-classifier, too; that costs money."
)
@click.option(
    "--url",
    envvar=URL_VARIABLE,
    default=DEFAULT_URL,
    show_envvar=True,
    show_default=True,
    callback=checked_url,
    help="With --micro: where it is.",
)
@click.option(
    "--admin-key", envvar="HEADGATE_ADMIN_KEY", show_envvar=True, help="With --micro: its admin key."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--scores", is_flag=True, help="Add the scorer's difficulty (0 to 1) and its probabilities.")
def classify(
    text: str | None,
    path: Path | None,
    mode: str,
    config: Path | None,
    url: str,
    admin_key: str | None,
    *,
    micro: bool,
    as_json: bool,
    scores: bool,
) -> None:
    """Show the verdict on TEXT, or on every line of a file, by rules and scorer."""
    if (text is None) == (path is None):
        raise click.UsageError("give a text or --file, one of the two")
    if micro and (config is not None or scores):
        raise click.UsageError("--micro asks a gateway, which has its own configuration and shows no scores")
    row_of = _asked_of(url, admin_key, mode) if micro else _judged(config, mode, scores=scores)
    one = _Request("1", [{"role": "user", "content": text}], [])
    out = sys.stdout.buffer
    if not as_json:
        click.secho(_line(_COLUMNS), bold=True)
    for request in (one,) if path is None else _requests(path):
        row = row_of(request)
        if as_json:
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            out.flush()
        else:
            click.echo(_line([*row.values()]))


def _judged(config: Path | None, mode: str, *, scores: bool) -> Callable[[_Request], Row]:
    """Judge here: nothing is called."""
    settings = read_or_exit(config, {}).settings
    tiers = _tiers(settings, mode)
    classifier = settings.routing.classifier
    scorer = load()
    cascade = Cascade(own_rules(classifier), scorer)
    thresholds = THRESHOLDS.get(mode, Thresholds())

    def row_of(request: _Request) -> Row:
        ask = looked_at(request.messages, len(request.tools))
        verdict = settled(cascade.judge(ask, thresholds))
        row = verdict_told(request.name, verdict, entry(verdict, tiers, classifier.min_confidence)[0])
        return row | _scores(scorer, ask) if scores else row

    return row_of


def _asked_of(url: str, admin_key: str | None, mode: str) -> Callable[[_Request], Row]:
    """Let a gateway judge, its micro-classifier included."""
    if admin_key is None:
        raise click.UsageError("--micro needs --admin-key, or HEADGATE_ADMIN_KEY in the environment")
    api = Api(url, checked_key(click.get_current_context(), click.Option(["--admin-key"]), admin_key))

    def row_of(request: _Request) -> Row:
        body = {
            "id": request.name,
            "messages": request.messages,
            "tools": request.tools,
            "mode": mode,
            "micro": True,
        }
        return api.call("POST", "/admin/v1/classify", body)

    return row_of


def _tiers(settings: Settings, mode: str) -> Sequence[str]:
    """The mode's three tiers; one that the catalogue cannot serve here is still shown by its default."""
    modes = {**DEFAULT_MODES, **settings.routing.modes}
    if mode not in modes:
        raise click.UsageError(f"no mode is called {mode!r}; there are {', '.join(sorted(modes))}")
    return modes[mode]


def _requests(path: Path) -> Iterator[_Request]:
    with click.open_file(str(path), "rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _request(line, number)


def _request(line: bytes, number: int) -> _Request:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise click.ClickException(f"line {number}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise click.ClickException(f"line {number}: not an object")
    messages: object = row.get("messages")
    if messages is None and isinstance(row.get("prompt"), str):
        messages = [{"role": "user", "content": row["prompt"]}]
    if not isinstance(messages, list) or not all(isinstance(each, Mapping) for each in messages):
        raise click.ClickException(f'line {number}: needs "prompt", a text, or "messages", a list of objects')
    tools = row.get("tools")
    return _Request(str(row.get("id", number)), messages, tools if isinstance(tools, list) else [])


def _scores(scorer: Scorer, ask: Ask) -> dict[str, Any]:
    opinion = scorer.score(ask)
    if opinion is None:
        return {"difficulty": None, "probabilities": None}
    return {
        "difficulty": round(opinion.difficulty, 4),
        "probabilities": [round(each, 4) for each in opinion.probabilities],
    }


def _line(values: Sequence[object]) -> str:
    padded = (
        str("-" if value is None else value).ljust(width)
        for value, width in zip(values, _WIDTHS, strict=False)
    )
    return " ".join((*padded, *map(str, values[len(_WIDTHS) :]))).rstrip()
