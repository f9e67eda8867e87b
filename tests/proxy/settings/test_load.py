"""From a file, the environment and the command line to settings."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.settings.document import parse
from proxy.settings.load import Loaded, load
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.schema import Settings

Load = Callable[..., Loaded]
Refused = Callable[..., list[str]]

CATALOGUE = b"""
models:
  - {id: a, backends: [{provider: openai, model: a}], price: {input: 1, output: 1}}
  - {id: s, backends: [{provider: sandbox, model: s}], price: {input: 0, output: 0}}
tiers: {frugal: {models: [s, a]}, balanced: {models: [a]}, premium: {models: [a]}}
"""
KEY = "test-key-0001-abcdef"


def test_nothing_set_gives_the_sandbox() -> None:
    """An empty environment is enough to start and answer."""
    loaded = load(None, environ={}, flags={}, default_models=CATALOGUE)
    assert "built-in defaults" == loaded.source
    assert ["sandbox"] == list(loaded.settings.providers)
    assert ["s"] == [model.id for model in loaded.settings.models]
    assert {"frugal": ("s",), "balanced": (), "premium": ()} == {
        name: tier.models for name, tier in loaded.settings.tiers.items()
    }
    assert ((), (), None) == (loaded.warnings, loaded.inactive, loaded.admin_key)


def test_a_providers_key_in_the_environment_adds_it_and_its_models() -> None:
    """No file is needed."""
    loaded = load(None, environ={"OPENAI_API_KEY": KEY}, flags={}, default_models=CATALOGUE)
    assert ["openai", "sandbox"] == list(loaded.settings.providers)
    assert [KEY] == [each.key.reveal() for each in loaded.settings.providers["openai"].resolved_keys]
    assert ["a", "s"] == [model.id for model in loaded.settings.models]
    assert ("a",) == loaded.settings.tiers["balanced"].models
    assert ("a",) == loaded.settings.tiers["frugal"].models, "the sandbox leaves tiers that have others"


def test_the_defaults_are_those_of_the_schema(load_text: Load) -> None:
    """Sections a file leaves out, or leaves empty, are as if it said nothing."""
    loaded = load_text("server:\nredis:\nlog:\nrouting:\n  classifier:\nlimits:\nmodels:\n")
    defaults = Settings()
    for section in ("server", "redis", "log", "records", "routing", "limits"):
        assert getattr(defaults, section) == getattr(loaded.settings, section)
    assert ["sandbox-small"] == [model.id for model in loaded.settings.models]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "{}"])
def test_an_empty_file_means_the_defaults(load_text: Load, tmp_path: Path, text: str) -> None:
    """It is a file all the same: the source says so."""
    loaded = load_text(text)
    assert ["sandbox"] == list(loaded.settings.providers)
    assert str(tmp_path / "headgate.yaml") == loaded.source


def test_flags_win_over_the_environment_and_it_over_the_file(load_text: Load) -> None:
    """Key by key."""
    text = "server: {host: 10.0.0.1, port: 1001, tail_s: 7}\nlog: {level: error}\nredis: {url: redis://f}"
    environ = {"HEADGATE_HOST": "10.0.0.2", "HEADGATE_PORT": "1002", "HEADGATE_LOG_LEVEL": "DEBUG"}
    settings = load_text(text, environ, {"server.port": 1003}).settings
    assert ("10.0.0.2", 1003, 7.0) == (settings.server.host, settings.server.port, settings.server.tail_s)
    assert ("debug", "redis://f") == (settings.log.level, settings.redis.url)
    assert "redis://e" == load_text(text, {"HEADGATE_REDIS_URL": "redis://e"}).settings.redis.url
    assert 0 == load_text(text, {}, {"server.port": 0}).settings.server.port


def test_a_refused_value_says_where_it_came_from(refused: Refused) -> None:
    """Nobody should look for it in the file."""
    level = 'log.level: "inof" is not one of debug, info, warning, error; did you mean "info"?'
    environ = {"HEADGATE_LOG_LEVEL": "inof", "HEADGATE_PORT": "70000"}
    assert [
        "server.port: must be <= 65535 (from HEADGATE_PORT)",
        "server.workers: must be >= 1 (from the command line)",
        f"{level} (from HEADGATE_LOG_LEVEL)",
    ] == refused("", environ, {"server.workers": 0})


def test_problems_of_the_environment_come_with_those_of_the_file(refused: Refused) -> None:
    """All together."""
    assert [
        "HEADGATE_PORT: must be a whole number",
        'server.prot: unknown key; did you mean "port"?',
    ] == refused("server: {prot: 1}", {"HEADGATE_PORT": "web"})


def test_a_flag_does_not_hide_a_section_of_the_wrong_shape(refused: Refused) -> None:
    """The file's mistake is still reported."""
    assert ["server: must be a mapping of keys to values"] == refused("server: 5", {}, {"server.port": 1})


def test_the_environment_may_name_the_file_and_an_argument_wins(tmp_path: Path) -> None:
    """HEADGATE_CONFIG is for containers."""
    (tmp_path / "a.yaml").write_text("server: {port: 1}")
    (tmp_path / "b.yaml").write_text("server: {port: 2}")
    environ = {"HEADGATE_CONFIG": str(tmp_path / "a.yaml")}
    by_variable = load(None, environ=environ, flags={}, default_models=CATALOGUE)
    by_argument = load(tmp_path / "b.yaml", environ=environ, flags={}, default_models=CATALOGUE)
    assert (1, str(tmp_path / "a.yaml")) == (by_variable.settings.server.port, by_variable.source)
    assert (2, str(tmp_path / "b.yaml")) == (by_argument.settings.server.port, by_argument.source)


def test_a_file_that_cannot_be_read_is_one_clear_problem(tmp_path: Path) -> None:
    """With the path as it was given."""
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            load(path, environ={}, flags={}, default_models=CATALOGUE)
        assert f"{path}: cannot be read: {reason}" == str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "server:\n  port: 1\n  port: 2",
            'line 3, column 3: the key "port" is there already (line 2, column 3)',
        ),
        ("server: [", "line 2, column 1: did not find expected node content"),
        ("- a\n- b", "must be a mapping of sections, like `server:`, to their keys"),
        ("server", "must be a mapping of sections, like `server:`, to their keys"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_clear_problem(
    refused: Refused, tmp_path: Path, text: str, expected: str
) -> None:
    """Named by the file, with the line where there is one."""
    assert [f"{tmp_path / 'headgate.yaml'}: {expected}"] == refused(text)


def test_the_default_catalogue_follows_the_files_providers(load_text: Load) -> None:
    """A model stays with the backends that are configured and enabled; one without any goes."""
    text = """
providers:
  openai: {adapter: openai, base_url: 'http://a/v1'}
  openrouter: {adapter: openrouter, api_key: env:A}
  fast: {adapter: groq, api_key: env:B}
"""
    loaded = load_text(text, {"B": KEY})
    assert [("gpt-5-mini", ["openai"])] == [
        (model.id, [backend.provider for backend in model.backends]) for model in loaded.settings.models
    ]
    assert ("gpt-5-mini",) == loaded.settings.tiers["frugal"].models


def test_models_in_the_file_replace_the_default_catalogue_whole(load_text: Load) -> None:
    """The default tiers keep only what is known."""
    text = """
providers: {openai: {adapter: openai, api_key: env:A}, sandbox: {adapter: sandbox}}
models: [{id: gpt-5-mini, backends: [{provider: sandbox, model: x}], price: {input: 1, output: 1}}]
"""
    settings = load_text(text, {"A": KEY}).settings
    assert [("gpt-5-mini", "x")] == [(model.id, model.backends[0].model) for model in settings.models]
    assert {"frugal", "balanced", "premium"} == set(settings.tiers)
    assert ("gpt-5-mini",) == settings.tiers["frugal"].models


def test_tiers_in_the_file_replace_the_default_ones(load_text: Load) -> None:
    """Modes without their tiers go too; a tier's own defaults stay under what the file says."""
    settings = load_text("tiers: {frugal: {models: [sandbox-small]}, premium: {floor: 40}, own: }").settings
    assert {"frugal": ("cheapest", 55.0), "premium": ("score", 40.0), "own": ("cheapest", 0.0)} == {
        name: (tier.strategy, tier.floor) for name, tier in settings.tiers.items()
    }
    assert ["frugal", "premium"] == list(settings.routing.modes)


def test_a_broken_default_catalogue_is_no_silent_matter() -> None:
    """Its problems carry its name."""
    with pytest.raises(ConfigError) as caught:
        load(None, environ={}, flags={}, default_models=b"models: [{id: a, backends: []}]\ntiers: {}")
    expected = '["default catalogue"].models[0].backends: must hold 1 entry or more, not 0'
    assert expected == str(caught.value)


def test_a_customer_named_only_by_a_key_is_made(load_text: Load) -> None:
    """After those in the list, once each."""
    text = """
customers: [{id: acme, name: Acme}]
keys:
  - {id: a, customer: acme, secret: env:A}
  - {id: b, customer: other, secret: env:B}
  - {id: c, customer: other, secret: env:C}
"""
    environ = {"A": f"{KEY}-a", "B": f"{KEY}-b", "C": f"{KEY}-c"}
    customers = load_text(text, environ).settings.customers
    assert [("acme", "Acme"), ("other", "other")] == [(each.id, each.name) for each in customers]


def test_the_admin_key_comes_from_the_environment() -> None:
    """And does not show."""
    admin = "test-admin-0001-abcdef"
    loaded = load(None, environ={"HEADGATE_ADMIN_KEY": admin}, flags={}, default_models=CATALOGUE)
    assert loaded.admin_key is not None
    assert admin == loaded.admin_key.reveal()
    assert admin not in repr(loaded)


def test_a_password_in_the_stores_address_does_not_show(load_text: Load, refused: Refused) -> None:
    """Neither in the settings nor in an error."""
    assert "hunter2" not in repr(load_text("redis: {url: 'redis://:hunter2@a'}"))
    assert "hunter2" not in str(refused("redis: {url: 'http://:hunter2@a'}"))


def test_limits_take_defaults_for_what_they_do_not_name(load_text: Load) -> None:
    """Zero is a figure, not an absence; null is named, and none."""
    text = """
limits: {defaults: {requests_per_minute: 60, usd_per_month: 10, in_flight: null, tokens_total: 5}}
customers: [{id: a, limits: {requests_per_minute: 0, tokens_total: null}}, {id: b}, {id: c, limits: null}]
"""
    settings = load_text(text).settings
    defaults = settings.limits.defaults.named()
    limits = [customer.limits.over(defaults) for customer in settings.customers]
    assert [{"usd_per_month": 10.0, "requests_per_minute": 0}, defaults, defaults] == limits
    assert {"requests_per_minute": 60, "usd_per_month": 10.0, "tokens_total": 5} == defaults


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.text("ab:/#@.{}é \0", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "key", "a.b", ""]), inner)
    ),
    max_leaves=4,
)


def _places(values: Any, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(values, dict | list):
        for place, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield (*here, place)
            yield from _places(value, (*here, place))


EXAMPLE = parse((Path(__file__).parents[3] / "deploy" / "headgate.example.yaml").read_bytes())
PLACES = list(_places(EXAMPLE))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_whatever_a_file_holds_it_loads_or_is_refused(
    tmp_path: Path, changes: list[tuple[tuple[str | int, ...], Any]]
) -> None:
    """Anything at any place of a sound file: no other exception than ours, and no problem without a path."""
    values = copy.deepcopy(EXAMPLE)
    for place, value in changes:
        _change(values, place, value)
    path = tmp_path / "headgate.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    problems: tuple[Problem, ...] = ()
    try:
        loaded = load(path, environ={"OPENAI_API_KEY": KEY}, flags={}, default_models=CATALOGUE)
        notes = (*loaded.warnings, *loaded.inactive)
    except ConfigError as error:
        problems = notes = error.problems
    assert [] == [note for note in notes if not note.path or not note.message]
    assert [] == [problem for problem in problems if "is not valid (" in problem.message]


def _change(values: Any, place: tuple[str | int, ...], value: Any) -> None:
    """Put a value at a place, unless an earlier change took the place away."""
    for part in place[:-1]:
        if not _has(values, part):
            return
        values = values[part]
    if _has(values, place[-1]):
        values[place[-1]] = value


def _has(values: Any, part: str | int) -> bool:
    if isinstance(values, dict):
        return part in values
    return isinstance(values, list) and isinstance(part, int) and part < len(values)


def test_settings_cannot_be_changed(load_text: Load) -> None:
    """They are read once; whoever holds them may rely on them."""
    settings = load_text("").settings
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1
