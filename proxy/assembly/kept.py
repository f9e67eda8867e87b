"""Texts that a gateway makes once and keeps in its data directory."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from proxy.settings.load import BUILT_IN, Loaded
from proxy.settings.schema import Settings
from ratelimit.subjects.secret import make_secret


@dataclass(frozen=True, slots=True)
class Kept:
    """Keys that hold from start to end, whatever is configured meanwhile.

    Attributes:
        local_key: printed for whoever runs it on a laptop; `None` when keys are configured.
        admin_key_digest: SHA-256 of the admin key.
        new_admin_key: made at this start, to be printed once; `None` when there was one already.
    """

    local_key: str | None
    admin_key_digest: bytes
    new_admin_key: str | None


def kept(loaded: Loaded) -> Kept:
    """Read them, or make them at the first start.

    Raises:
        OSError: the data directory cannot be written.
    """
    settings = loaded.settings
    loopback = settings.server.host in ("127.0.0.1", "::1", "localhost")
    wants_local_key = loaded.source == BUILT_IN or (loopback and not loaded.names_keys)
    local = local_key(settings) if wants_local_key else None
    digest, made = admin_key(loaded)
    return Kept(local, digest, made)


def local_key(settings: Settings) -> str:
    """The laptop's key, made at the first start."""
    path = data_dir(settings) / "local-key"
    return _kept(path, make_secret)


def admin_key(loaded: Loaded) -> tuple[bytes, str | None]:
    """The admin key's digest, and its text when it was made just now."""
    if loaded.admin_key is not None:
        return sha256(loaded.admin_key.reveal().encode()).digest(), None
    made: list[str] = []

    def make() -> str:
        made.append(f"hg-admin-{secrets.token_urlsafe(32)}")
        return sha256(made[0].encode()).hexdigest()

    digest = _kept(data_dir(loaded.settings) / "admin-key.sha256", make)
    return bytes.fromhex(digest), made[0] if made else None


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The text in a file that only its owner may read; made by `make` where there is none."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        text = make()
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text + "\n")
        return text


def data_dir(settings: Settings) -> Path:
    path = settings.server.data_dir
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
