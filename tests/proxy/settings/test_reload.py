"""Another configuration: what changed, by path and without values, and what waits for a restart."""

import os
from pathlib import Path

import pytest

from proxy.settings.problems import ConfigError, Problem
from proxy.settings.reload import Source, difference, new_warnings, servable, signature
from tests.proxy.settings.conftest import DEFAULT_MODELS, Load

BASE = """
server: {port: 8080, tail_s: 2}
providers: {p: {adapter: openai, base_url: 'http://127.0.0.1:1/v1', api_key: env:A}}
models:
  - {id: one, backends: [{provider: p, model: m}], price: {input: 1, output: 2}}
  - {id: two, backends: [{provider: p, model: m}], price: {input: 1, output: 2}}
keys: [{id: k, customer: c, secret: env:K}]
"""
SECRETS = {"A": "provider-secret-1", "K": "customer-secret-number-1"}


@pytest.mark.parametrize(
    ("old", "new", "changed", "waiting"),
    [
        ("tail_s: 2", "tail_s: 3", ["server.tail_s"], []),
        ("port: 8080", "port: 8081", [], ["server.port"]),
        ("port: 8080, tail_s: 2", "workers: 2, tail_s: 3", ["server.tail_s"], ["server.workers"]),
        ("id: two", "id: three", ["models.two", "models.three"], []),
        ("id: two, backends: [{provider: p, model: m}]", "id: two, backends: [{provider: p, model: n}]",
         ["models.two.backends"], []),
        ("{input: 1, output: 2}", "{input: 5, output: 2}",
         ["models.one.price.input", "models.two.price.input"], []),
        ("id: k, customer: c", "id: k, customer: d", ["customers.c", "customers.d", "keys.k.customer"], []),
        ("customer: c,", "customer: c, limits: {in_flight: 2},", ["keys.k.limits.in_flight"], []),
    ],
)  # fmt: skip
def test_paths(load_text: Load, old: str, new: str, changed: list[str], waiting: list[str]) -> None:
    running = load_text(BASE, SECRETS)
    assert old in BASE
    came = difference(running, load_text(BASE.replace(old, new), SECRETS))
    assert changed == [path for path in came.changed if path]
    assert waiting == list(came.needs_restart)


def test_order_counts(load_text: Load) -> None:
    """Lists of models are in order; one that only changed is named."""
    first, second = (f"  - {line}" for line in BASE.split("  - ")[1:3])
    swapped = BASE.replace(first + second.split("keys:")[0], second.split("keys:")[0] + first)
    assert swapped != BASE
    assert ("models",) == difference(load_text(BASE, SECRETS), load_text(swapped, SECRETS)).changed


def test_secrets_are_named_not_shown(load_text: Load) -> None:
    running = load_text(BASE, SECRETS)
    read = load_text(BASE, {"A": "provider-secret-2", "K": "customer-secret-number-2"})
    came = difference(running, read)
    assert ("providers.p (secret)", "keys.k (secret)") == came.changed
    assert "secret-2" not in repr(came)


def test_nothing_changed(load_text: Load) -> None:
    assert difference(load_text(BASE, SECRETS), load_text(BASE, SECRETS)).changed == ()


def test_what_waits_is_served_as_it_was(load_text: Load) -> None:
    running = load_text(BASE, SECRETS)
    read = load_text(BASE.replace("port: 8080, tail_s: 2", "port: 1, workers: 3, tail_s: 9"), SECRETS)
    served = servable(running, read).settings.server
    assert (8080, 1, 9) == (served.port, served.workers, served.tail_s)
    again = difference(servable(running, read), read)
    assert ((), ("server.port", "server.workers")) == (again.changed, again.needs_restart)


def test_a_source_remembers_what_was_good(tmp_path: Path) -> None:
    """Secrets are read anew with the last document that could be used, whatever is in the file now."""
    path, secret = tmp_path / "headgate.yaml", tmp_path / "secret"
    secret.write_text("first-secret-of-all\n")
    path.write_text(BASE.replace("env:A", f"file:{secret}"))
    source = Source(path, environ=SECRETS, flags={"server.port": 9}, default_models=DEFAULT_MODELS)
    first = source.read()
    assert (str(secret),) == first.secret_files
    assert 9 == first.settings.server.port
    path.write_text("broken: [")
    secret.write_text("second-secret-of-all\n")
    with pytest.raises(ConfigError):
        source.read()
    second = source.read_secrets()
    assert ("providers.p (secret)",) == difference(first, second).changed
    secret.unlink()
    gone = source.read_secrets()
    first_missing, *_ = new_warnings(second, gone)
    assert first_missing.message.startswith(f"the file {secret} cannot be read")
    assert (str(secret),) == gone.secret_files


def test_signatures(tmp_path: Path) -> None:
    """A file written, replaced, or reached over another link has another one."""
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    one.write_text("aaaa")
    two.write_text("bbbb")
    link.symlink_to(one)
    files = [str(link), str(tmp_path / "absent")]
    first = signature(files)
    assert first[files[1]] is None
    assert signature(files) == first
    link.unlink()
    link.symlink_to(two)
    second = signature(files)
    assert second != first
    os.utime(two, (1, 1))
    assert signature(files) != second


def test_problems_travel() -> None:
    """From a supervisor to a worker and back, an error is what it was."""
    import pickle

    error = ConfigError((Problem("a.b", "wrong"), Problem("c", "wrong too")))
    copy = pickle.loads(pickle.dumps(error))
    assert (error.problems, str(error)) == (copy.problems, str(copy))
