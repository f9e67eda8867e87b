"""The only place that spells a key.

Everything begins with `hg:`. Keys used together share a hash tag, so that they live on one cluster node: the
directory and health have their own, all that is counted for a customer has the customer's id.

Permanent keys: those of the directory (customers and keys), the store's identity, and a customer's totals (`use`,
`closing`, what is `lost`, the ledger with its own retention): they go 400 days after the customer was deleted. Every
other key has an expiry.
"""

import re
from typing import Final

IDENTITY: Final = "hg:{store}:identity"
"""String: which store this is (JSON: `id`, and `accepts`, the ids of earlier stores whose place it takes)."""

# The directory: five hashes and indexes that every change touches together.
CUSTOMERS: Final = "hg:{directory}:customers"
"""Hash: customer id -> record (JSON)."""
CUSTOMER_IDS: Final = "hg:{directory}:customer-ids"
"""Sorted set, all scores 0: customer ids in byte order."""
KEYS: Final = "hg:{directory}:keys"
"""Hash: key id -> record (JSON)."""
KEY_IDS: Final = "hg:{directory}:key-ids"
"""Sorted set, all scores 0: key ids in byte order."""
DIGESTS: Final = "hg:{directory}:digests"
"""Hash: SHA-256 of a key's text (hex) -> key id."""
CUSTOMER_KEYS: Final = "hg:{directory}:customer-keys"
"""Sorted set, all scores 0: `<customer id> <key id>`; ids hold no spaces."""
FILE_CUSTOMERS: Final = "hg:{directory}:file-customers"
"""Set: ids of the customers managed by the configuration file."""
FILE_KEYS: Final = "hg:{directory}:file-keys"
"""Set: ids of the keys managed by the configuration file."""
FILE_HOLDERS: Final = "hg:{directory}:file-holders"
"""Hash: running gateway -> `<until_ms> <digest>`, which file it runs with; expires with the last of them."""
DELETED_CUSTOMERS: Final = "hg:{directory}:deleted-customers"
"""Sorted set: ids of deleted customers whose totals are still kept, by when they were deleted (s)."""
KEEPING: Final = "hg:{store}:keeping"
"""String: a gateway is looking after ledgers nobody writes to; expires with the hour."""

# What the next three begin; scripts that meet several keys add the rest.
FILE_MEMBERS: Final = "hg:{directory}:file:"
FORMER_SECRETS: Final = "hg:{directory}:former:"
PREVIOUS_SECRETS: Final = "hg:{directory}:previous:"


def file_members(digest: str) -> str:
    """Set: `customer <id>` and `key <id>` of all that a configuration file names; expires after its last gateway."""
    return FILE_MEMBERS + digest


def former_secret(digest: str) -> str:
    """String, by the SHA-256 (hex) of a text that opens nothing any more or soon will not.

    `revoked`, `replaced`, or `<key id> <until_s>` while a rotation lets it work; expires weeks after its end.
    """
    return FORMER_SECRETS + digest


def previous_secret(key_id: str) -> str:
    """String: digest of the text that a key's last rotation replaced; expires with `former_secret` of it."""
    return PREVIOUS_SECRETS + key_id


CIRCUITS: Final = "hg:{health}:circuits"
"""Hash: `<backend>\\n<provider key id>`, either may be empty -> an open circuit (JSON)."""


def backend_health(backend: str) -> str:
    """Hash: hour since the epoch -> its tally (packed), `week`, `week_of`, `recent`, `window`."""
    return f"hg:{{health}}:backend:{backend}"


def health_writer(writer: str) -> str:
    """String: number of the last batch one gateway has written, and what it changed (JSON)."""
    return f"hg:{{health}}:writer:{writer}"


def use(customer_id: str) -> str:
    """Hash: scope -> what is counted for it (packed). Permanent: it holds totals."""
    return f"hg:{{{customer_id}}}:use"


def held(customer_id: str) -> str:
    """Hash: reservation id -> reservation (packed) of a request under way. Each leaves within its hold."""
    return f"hg:{{{customer_id}}}:held"


def due(customer_id: str) -> str:
    """Sorted set: reservation id -> when its gateway must have renewed it, microseconds since the epoch."""
    return f"hg:{{{customer_id}}}:due"


def lost(customer_id: str) -> str:
    """Hash like `held`: reservations whose gateway was not heard of. Permanent until settled late or released."""
    return f"hg:{{{customer_id}}}:lost"


def over(customer_id: str, reservation_id: str) -> str:
    """String: this reservation is over, whatever call may still be on its way."""
    return f"hg:{{{customer_id}}}:over:{reservation_id}"


# What `over` begins; scripts that meet several reservations add the rest.
def marks(customer_id: str) -> str:
    return f"hg:{{{customer_id}}}:over:"


def ledger(customer_id: str) -> str:
    """Stream: a row per settled request. Rows leave when they are older than rows are kept; see `closing`."""
    return f"hg:{{{customer_id}}}:ledger"


def booked(customer_id: str, booker: str) -> str:
    """String: number of the last batch that one gateway has booked for a customer; expires weeks after it."""
    return f"hg:{{{customer_id}}}:booked:{booker}"


def remembered(customer_id: str, kind: str, digest: str) -> str:
    """String: a blob that is kept for a while. Expires."""
    return f"hg:{{{customer_id}}}:memory:{kind}:{digest}"


def remembered_index(customer_id: str, kind: str) -> str:
    """Sorted set: digest of each `remembered` blob -> when it expires, ms. Expires with the last of them."""
    return f"hg:{{{customer_id}}}:memory-index:{kind}"


GENERATIONS: Final = "hg:{generations}:index"
"""Sorted set: id of each record of a past request -> when it was noted, ms. Expires with the last of them."""
GENERATION_OWNERS: Final = "hg:{generations}:owners"
"""Hash: the same ids -> customer id. Expires with them."""


def generation(customer_id: str, generation_id: str) -> str:
    """String: the record of a past request. Expires."""
    return f"hg:{{{customer_id}}}:generation:{generation_id}"


def everything(customer_id: str) -> str:
    """What every key with this customer's hash tag begins with."""
    return f"hg:{{{customer_id}}}:"


def pattern(customer_id: str) -> str:
    """The pattern that these keys, and no others, match."""
    return re.sub(r"([\\*?\[\]^-])", r"\\\1", everything(customer_id)) + "*"


def closing(customer_id: str) -> str:
    """Hash: scope -> sums of rows that have left the ledger (packed), and `through`. Permanent: it holds totals."""
    return f"hg:{{{customer_id}}}:closing"


def figures(customer_id: str) -> str:
    """What the keys of a day's figures begin with; scripts add the day, days since 1970-01-01.

    Hash: group (JSON) -> figures (packed). Expires 400 days after its first.
    """
    return f"hg:{{{customer_id}}}:figures:"
