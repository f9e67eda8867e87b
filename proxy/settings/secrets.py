"""Secrets are named in a configuration, never written there: `env:NAME`, `file:/path`, `vault:path#field`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# No credential of any provider is near this; a larger file is the wrong file.
MAX_SECRET_BYTES: Final = 65_536

# Keys that Headgate itself hands out. One that strays into a provider's variable (clients of Headgate often
# set OPENAI_API_KEY) must not be sent to that provider.
OWN_KEY_PREFIX: Final = "sk-hg-"

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VAULT: Final = re.compile(r"[^#\s]+#[^#\s]+")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HEADER_SAFE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A secret text that does not show itself: not in `str`, `repr`, a log line or an error."""

    _text: str

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"


class SecretMissing(Exception):
    """The secret that a reference names cannot be had; the message says why and holds no secret."""


def reference_problem(reference: str, *, digest_allowed: bool) -> str | None:
    """What is wrong with the spelling of a reference, or `None`.

    Args:
        reference: never repeated in the answer, for it may be the secret itself.
        digest_allowed: whether `sha256:<hex>` may stand for the secret.
    """
    scheme, colon, target = reference.partition(":")
    if colon and scheme == "env":
        return None if _VARIABLE.fullmatch(target) else "env: needs the name of a variable, like env:MY_KEY"
    if colon and scheme == "file":
        return None if target and "\0" not in target else "file: needs a path, like file:/run/secrets/my-key"
    if colon and scheme == "vault":
        return (
            None
            if _VAULT.fullmatch(target)
            else "vault: needs a path and a field, like vault:team/openai#key"
        )
    if colon and scheme == "sha256" and digest_allowed:
        return None if _DIGEST.fullmatch(target) else "sha256: needs 64 lower-case hexadecimal digits"
    forms = "env:NAME, file:/path or sha256:<hex>" if digest_allowed else "env:NAME or file:/path"
    return f"a secret is named here, never written: use {forms}"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where secrets are: the environment and the files that references name.

    Attributes:
        files: paths of the files that have been asked for, in that order.
    """

    environ: Mapping[str, str]
    files: dict[str, None] = field(default_factory=dict)

    def read(self, reference: str) -> Secret:
        """The secret that `reference` (well spelled) names; line ends behind it are taken off.

        Raises:
            SecretMissing: unset, empty, unreadable, or not something that can be sent in a header.
        """
        scheme, _, target = reference.partition(":")
        if scheme == "env":
            named, text = f"the environment variable {target}", self._variable(target)
        elif scheme == "file":
            self.files[target] = None
            named, text = f"the file {target}", _file_text(target)
        else:
            raise SecretMissing(f"{scheme}: is not read yet")
        text = text.rstrip("\r\n")
        if not text:
            raise SecretMissing(f"{named} is empty")
        if not _HEADER_SAFE.fullmatch(text):
            raise SecretMissing(f"{named} holds blanks, line ends or characters outside ASCII")
        return Secret(text)

    def _variable(self, name: str) -> str:
        text = self.environ.get(name)
        if text is None:
            raise SecretMissing(f"the environment variable {name} is not set")
        return text


def _file_text(target: str) -> str:
    try:
        with Path(target).open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise SecretMissing(f"the file {target} cannot be read ({error.strerror})") from error
    if len(data) > MAX_SECRET_BYTES:
        raise SecretMissing(f"the file {target} is larger than {MAX_SECRET_BYTES} bytes")
    return data.decode("utf-8", "replace")  # what is not UTF-8 is refused a moment later, as outside ASCII
