"""Reading the secrets that providers and keys name, and saying what follows where one cannot be had."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from providers.registry import REGISTRY
from proxy.settings.problems import Problem, path_of
from proxy.settings.schema import ApiKey, Provider, ProviderKey
from proxy.settings.secrets import OWN_KEY_PREFIX, Secret, SecretMissing, Secrets
from proxy.settings.subjects import Key

# Shorter keys can be guessed.
KEY_CHARACTERS: Final = 16

CLOUD_SECRETS: Final = ("token", "access_key_id", "secret_access_key", "session_token")
"""Keys of a provider that name a secret, beside `api_key` and `api_keys`."""

_DIGEST_PREFIX: Final = "sha256:"


def resolve_providers(
    providers: Iterable[tuple[str, Provider]], secrets: Secrets
) -> tuple[dict[str, Provider], list[Problem], list[Problem]]:
    """Providers with their credentials read or their reason for being disabled, problems, and warnings.

    A required provider whose secret is missing is a problem; any other is disabled with a warning.
    """
    resolved: dict[str, Provider] = {}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for name, provider in providers:
        keys, missing = _provider_keys(name, provider, secrets)
        clouds, unread = _cloud_secrets(name, provider, secrets)
        disabled = unread[0].message if unread else None
        missing += unread
        if not keys and "token" not in clouds and _needs_key(provider):
            disabled = missing[0].message if missing else "it has no key"
            if not missing:
                where = path_of(("providers", name, "api_key"))
                missing.append(Problem(where, f'no key is named, and adapter "{provider.adapter}" needs one'))
        resolved[name] = provider.resolved(keys, clouds, disabled)
        if provider.required:
            problems.extend(Problem(each.path, f"required, but {each.message}") for each in missing)
        else:
            consequence = "the provider is disabled" if disabled else "the key is left out"
            warnings.extend(Problem(each.path, f"{each.message}; {consequence}") for each in missing)
    return resolved, problems, warnings


def _needs_key(provider: Provider) -> bool:
    if provider.api_key is not None or provider.api_keys:
        return True  # a key that was asked for is never silently left away
    adapter = REGISTRY.get(provider.adapter)
    if adapter is None or adapter.keyless or adapter.auth == "sigv4":  # AWS has a chain of its own
        return False
    return provider.base_url is None


def _provider_keys(
    name: str, provider: Provider, secrets: Secrets
) -> tuple[tuple[ProviderKey, ...], list[Problem]]:
    keys: list[ProviderKey] = []
    missing: list[Problem] = []
    for place, (path, entry) in enumerate(_named_keys(name, provider)):
        try:
            secret = secrets.read(entry.key)
        except SecretMissing as error:
            missing.append(Problem(path, str(error)))
            continue
        if secret.reveal().startswith(OWN_KEY_PREFIX):
            missing.append(
                Problem(path, f"a key that starts {OWN_KEY_PREFIX} is Headgate's own, not a provider's")
            )
            continue
        keys.append(ProviderKey(secret, entry.weight, entry.customers, entry.tiers, place))
    return tuple(keys), missing


def _cloud_secrets(
    name: str, provider: Provider, secrets: Secrets
) -> tuple[dict[str, Secret], list[Problem]]:
    """What clouds want instead of a key; one that is named and cannot be read disables the provider."""
    read: dict[str, Secret] = {}
    missing: list[Problem] = []
    for field in CLOUD_SECRETS:
        named: str | None = getattr(provider, field)
        if named is None:
            continue
        try:
            read[field] = secrets.read(named)
        except SecretMissing as error:
            missing.append(Problem(path_of(("providers", name, field)), str(error)))
    return read, missing


def _named_keys(name: str, provider: Provider) -> list[tuple[str, ApiKey]]:
    at = ("providers", name)
    if provider.api_key is not None:
        return [(path_of((*at, "api_key")), ApiKey(key=provider.api_key))]
    return [(path_of((*at, "api_keys", index, "key")), key) for index, key in enumerate(provider.api_keys)]


def resolve_keys(
    keys: Iterable[tuple[int, Key]], secrets: Secrets
) -> tuple[tuple[Key, ...], list[Problem], list[Problem]]:
    """Customers' keys with their digests, problems, and warnings for those left out."""
    resolved: list[Key] = []
    problems: list[Problem] = []
    warnings: list[Problem] = []
    first_by_digest: dict[str, str] = {}
    for index, key in keys:
        at = path_of(("keys", index))
        path = f"{at}.secret"
        try:
            digest = _digest(key, secrets)
        except SecretMissing as error:
            warnings.append(Problem(path, f"{error}; the key is left out"))
            continue
        if digest is None:
            problems.append(Problem(path, f"the key it names has fewer than {KEY_CHARACTERS} characters"))
        elif digest in first_by_digest:
            problems.append(Problem(path, f"the same key as {first_by_digest[digest]}"))
        else:
            first_by_digest[digest] = at
            resolved.append(key.resolved(digest))
    return tuple(resolved), problems, warnings


def _digest(key: Key, secrets: Secrets) -> str | None:
    """The digest of a key's text, or `None` when the text is too short."""
    if key.secret.startswith(_DIGEST_PREFIX):
        return key.secret.removeprefix(_DIGEST_PREFIX)
    text = secrets.read(key.secret).reveal()
    if len(text) < KEY_CHARACTERS:
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def usable(providers: Mapping[str, Provider]) -> frozenset[str]:
    """The names of those that take requests."""
    return frozenset(name for name, provider in providers.items() if provider.disabled is None)


def admin_key_problem(admin_key: Secret, keys: Iterable[Key]) -> Problem | None:
    """An administrator's key that is also a customer's would let that customer administer."""
    digest = hashlib.sha256(admin_key.reveal().encode()).hexdigest()
    for key in keys:
        if key.digest == digest:
            return Problem("HEADGATE_ADMIN_KEY", f'is also the key "{key.id}"; the two must differ')
    return None
