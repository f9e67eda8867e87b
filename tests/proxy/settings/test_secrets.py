"""Secrets are named, read, and never shown."""

from pathlib import Path

import pytest

from proxy.settings.secrets import MAX_SECRET_BYTES, Secret, SecretMissing, Secrets, reference_problem


def _missing(reference: str, **environ: str) -> str:
    with pytest.raises(SecretMissing) as caught:
        Secrets(environ).read(reference)
    return str(caught.value)


def test_a_secret_does_not_show_itself() -> None:
    """Neither printing nor formatting nor an error that holds it gives the text away."""
    secret = Secret("test-key-0001-abcdef")
    shown = f"{secret} {secret!r} {[secret]} {ValueError(secret)}"
    assert "test-key" not in shown
    assert "test-key-0001-abcdef" == secret.reveal()
    assert Secret("test-key-0001-abcdef") == secret


@pytest.mark.parametrize(
    "reference", ["env:MY_KEY", "env:_x1", "file:/run/secrets/a", "file:a", "vault:team/a#key"]
)
def test_names_of_secrets_are_accepted(reference: str) -> None:
    """Three forms name a secret anywhere, a digest only where a key may be known by it."""
    assert reference_problem(reference, digest_allowed=False) is None
    assert reference_problem("sha256:" + "0f" * 32, digest_allowed=True) is None


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("hunter2-hunter2", "a secret is named here, never written: use env:NAME or file:/path"),
        ("", "a secret is named here, never written: use env:NAME or file:/path"),
        ("sha256:" + "0f" * 32, "a secret is named here, never written: use env:NAME or file:/path"),
        ("env:hunter2-hunter2", "env: needs the name of a variable, like env:MY_KEY"),
        ("env:", "env: needs the name of a variable, like env:MY_KEY"),
        ("file:", "file: needs a path, like file:/run/secrets/my-key"),
        ("vault:hunter2", "vault: needs a path and a field, like vault:team/openai#key"),
    ],
)
def test_anything_else_is_refused_without_being_repeated(reference: str, expected: str) -> None:
    """What stands there may be the secret itself."""
    assert expected == reference_problem(reference, digest_allowed=False)


def test_a_digest_has_64_lower_case_digits() -> None:
    """So that two spellings of one digest cannot both pass."""
    expected = "sha256: needs 64 lower-case hexadecimal digits"
    assert expected == reference_problem("sha256:" + "0F" * 32, digest_allowed=True)
    assert expected == reference_problem("sha256:00", digest_allowed=True)


def test_secrets_are_read_without_the_line_end_behind_them(tmp_path: Path) -> None:
    """Editors and `echo` leave one."""
    (tmp_path / "key").write_bytes(b"test-key-0001\r\n")
    assert "test-key-0001" == Secrets({}).read(f"file:{tmp_path}/key").reveal()
    assert "test-key-0002" == Secrets({"A": "test-key-0002\n"}).read("env:A").reveal()


def test_a_missing_secret_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """The reason never holds what was found."""
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "two").write_bytes(b"one\ntwo\n")
    (tmp_path / "large").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    garbled = "holds blanks, line ends or characters outside ASCII"
    assert "the environment variable A is not set" == _missing("env:A")
    assert "the environment variable A is empty" == _missing("env:A", A="")
    assert f"the environment variable A {garbled}" == _missing("env:A", A="one two")
    assert f"the file {tmp_path}/none cannot be read (No such file or directory)" == _missing(
        f"file:{tmp_path}/none"
    )
    assert f"the file {tmp_path}/empty is empty" == _missing(f"file:{tmp_path}/empty")
    assert f"the file {tmp_path}/two {garbled}" == _missing(f"file:{tmp_path}/two")
    assert f"the file {tmp_path}/binary {garbled}" == _missing(f"file:{tmp_path}/binary")
    assert f"the file {tmp_path}/large is larger than {MAX_SECRET_BYTES} bytes" == _missing(
        f"file:{tmp_path}/large"
    )
    assert "vault: is not read yet" == _missing("vault:a#b")
