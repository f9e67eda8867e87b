"""From a file, the environment and the command line to settings that hold together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from proxy.settings.catalogue import reduced_models, reduced_modes, reduced_tiers, without_sandbox
from proxy.settings.checks import cross_problems, names_in
from proxy.settings.document import MAX_BYTES, DocumentError, parse
from proxy.settings.environment import (
    CONFIG_VARIABLE,
    SANDBOX,
    Override,
    admin_key,
    default_providers,
    overrides,
)
from proxy.settings.inactive import inactive
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.resolve import admin_key_problem, resolve_keys, resolve_providers, usable
from proxy.settings.schema import Catalogue, Provider, Settings
from proxy.settings.secrets import Secret, Secrets
from proxy.settings.subjects import Customer, Key
from proxy.settings.validation import parts, validate
from proxy.settings.warnings import cross_warnings

BUILT_IN: Final = "built-in defaults"
_COMMAND_LINE: Final = "the command line"
_DEFAULT_CATALOGUE: Final = "default catalogue"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what its operator should know of it.

    Attributes:
        warnings: what works less than it could: a missing secret, a backend without a price.
        inactive: what is accepted and checked but not acted on yet.
        source: the path of the file, or "built-in defaults".
        admin_key: from the environment; `None` when it is not set there.
        secret_files: paths of the files that secrets are read from, or would be if they could.
        names_keys: customers' keys are configured, whether their secrets could be read or not.
    """

    settings: Settings
    warnings: tuple[Problem, ...]
    inactive: tuple[Problem, ...]
    source: str
    admin_key: Secret | None = None
    secret_files: tuple[str, ...] = ()
    names_keys: bool = False


def load(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, str | int],
    default_models: bytes,
    document: bytes | None = None,
) -> Loaded:
    """Read the configuration; flags win over the environment, the environment over the file.

    Args:
        path: the file; without one `HEADGATE_CONFIG` names it, without that the built-in defaults are used.
        environ: the environment.
        flags: by dotted key, like `server.port`.
        default_models: YAML with `models` and `tiers`, used where the file has none of its own.
        document: what the file holds, if it has been read already.

    Raises:
        ConfigError: with every problem found.
    """
    path = path or path_from(environ)
    source = str(path) if path else BUILT_IN
    if path and document is None:
        document = read_document(path)
    values = _mapping(document, source) if document is not None else {}
    catalogue = _default_catalogue(default_models)

    from_environment, problems, warnings = overrides(environ)
    from_flags = [Override(key, value, _COMMAND_LINE) for key, value in flags.items()]
    origins = _apply([*from_environment, *from_flags], values)

    written, schema_problems = validate(Settings, values)
    problems += [_with_origin(problem, origins) for problem in schema_problems]

    defaults: dict[str, Provider] = {}
    if "providers" not in values:
        defaults, more = default_providers(environ)
        warnings += more
    names = names_in(values, defaults, (model.id for model in catalogue.models), catalogue.tiers)
    problems += cross_problems(values, names)

    secrets = Secrets(environ)
    declared = defaults or dict(_named(parts(Provider, values.get("providers"))))
    found = _credentials(declared, values, secrets)
    problems, warnings = problems + found.problems, warnings + found.warnings

    if problems or written is None:
        raise ConfigError(_first_of_each_path(problems))
    settings, more = _completed(written, values, found.providers, found.keys, catalogue)
    not_yet = inactive(written.model_copy(update={"providers": declared}))
    return Loaded(
        settings,
        tuple(warnings + more),
        tuple(not_yet),
        source,
        found.admin,
        tuple(secrets.files),
        names_keys=bool(written.keys),
    )


class _Credentials(NamedTuple):
    providers: Mapping[str, Provider]
    keys: tuple[Key, ...]
    admin: Secret | None
    problems: list[Problem]
    warnings: list[Problem]


def _credentials(
    declared: Mapping[str, Provider], values: Mapping[str, Any], secrets: Secrets
) -> _Credentials:
    """Everybody's, read: providers', customers', the administrator's."""
    providers, problems, warnings = resolve_providers(declared.items(), secrets)
    keys, of_keys, warnings_of_keys = resolve_keys(_placed(parts(Key, values.get("keys"))), secrets)
    admin, warnings_of_admin = admin_key(secrets.environ)
    shared = admin_key_problem(admin, keys) if admin else None
    return _Credentials(
        providers,
        keys,
        admin,
        [*problems, *of_keys, *([shared] if shared else [])],
        [*warnings, *warnings_of_keys, *warnings_of_admin],
    )


def path_from(environ: Mapping[str, str]) -> Path | None:
    """Where the environment says that the file is."""
    text = environ.get(CONFIG_VARIABLE, "").strip()
    return Path(text) if text else None


def read_document(path: Path) -> bytes:
    """The file's text, one byte more than the largest allowed at most.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError((Problem(str(path), f"cannot be read: {error.strerror}"),)) from error


def _mapping(data: bytes, name: str) -> dict[str, Any]:
    """The values without sections that hold nothing."""
    try:
        values = parse(data)
    except DocumentError as error:
        raise ConfigError((Problem(name, str(error)),)) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError((Problem(name, "must be a mapping of sections, like `server:`, to their keys"),))
    return {section: value for section, value in values.items() if value is not None}


def _default_catalogue(data: bytes) -> Catalogue:
    catalogue, problems = validate(Catalogue, _mapping(data, _DEFAULT_CATALOGUE), at=(_DEFAULT_CATALOGUE,))
    if catalogue is None:
        raise ConfigError(tuple(problems))
    return catalogue


def _apply(found: Iterable[Override], values: dict[str, Any]) -> dict[str, str]:
    """Write overrides into `values`, the later over the earlier; gives the origin of each path."""
    origins: dict[str, str] = {}
    for override in found:
        *sections, key = override.path.split(".")
        target: Any = values
        for section in sections:
            target = target.setdefault(section, {}) if isinstance(target, dict) else None
        if isinstance(target, dict):  # else the file has something else there, which the schema refuses
            target[key] = override.value
            origins[override.path] = override.origin
    return origins


def _with_origin(problem: Problem, origins: Mapping[str, str]) -> Problem:
    origin = origins.get(problem.path)
    return Problem(problem.path, f"{problem.message} (from {origin})") if origin else problem


def _named(found: Iterable[tuple[str | int, Provider]]) -> Iterable[tuple[str, Provider]]:
    return ((place, provider) for place, provider in found if isinstance(place, str))


def _placed(found: Iterable[tuple[str | int, Key]]) -> Iterable[tuple[int, Key]]:
    return ((place, key) for place, key in found if isinstance(place, int))


def _first_of_each_path(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """One problem a path: what follows from a wrong value only repeats it."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(problem.path, problem)
    return tuple(first.values())


def _completed(
    written: Settings,
    values: Mapping[str, Any],
    providers: Mapping[str, Provider],
    keys: tuple[Key, ...],
    catalogue: Catalogue,
) -> tuple[Settings, list[Problem]]:
    """The settings as they take effect, with defaults for absent sections; and warnings."""
    models = written.models if "models" in values else reduced_models(catalogue.models, usable(providers))
    known = frozenset(model.id for model in models)
    tiers = reduced_tiers(written.tiers if "tiers" in values else catalogue.tiers, known)
    if "tiers" not in values:
        sandboxes = frozenset(name for name, each in providers.items() if each.adapter == SANDBOX)
        tiers = without_sandbox(tiers, models, sandboxes)
    named = {customer.id for customer in written.customers}
    made = dict.fromkeys(key.customer for key in written.keys if key.customer not in named)
    routing = written.routing
    if "modes" not in routing.model_fields_set:
        routing = routing.model_copy(update={"modes": reduced_modes(routing.modes, frozenset(tiers))})
    settings = written.model_copy(
        update={
            "providers": dict(providers),
            "models": models,
            "tiers": tiers,
            "routing": routing,
            "customers": (*written.customers, *map(Customer.named_by_a_key, made)),
            "keys": keys,
        }
    )
    return settings, cross_warnings(written, settings)
