"""Why the directory would not do what it was asked."""

from ratelimit.subjects.types import Kind


class DirectoryError(Exception):
    """The request cannot be done. `kind` and `id` name the record it is about."""

    def __init__(self, kind: Kind, record_id: str, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.id = record_id


class AlreadyExists(DirectoryError):
    def __init__(self, kind: Kind, record_id: str) -> None:
        super().__init__(kind, record_id, f"{kind} `{record_id}` exists already")


class NotFound(DirectoryError):
    def __init__(self, kind: Kind, record_id: str) -> None:
        super().__init__(kind, record_id, f"there is no {kind} `{record_id}`")


class ManagedByFile(DirectoryError):
    def __init__(self, kind: Kind, record_id: str) -> None:
        super().__init__(
            kind, record_id, f"{kind} `{record_id}` is managed by the configuration file: change it there"
        )


class UnknownCustomer(DirectoryError):
    def __init__(self, customer_id: str) -> None:
        super().__init__("customer", customer_id, f"there is no customer `{customer_id}` to give a key to")


class InvalidRecord(DirectoryError):
    """A member has a value that cannot be stored; the message begins with the member's name."""
