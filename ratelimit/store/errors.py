"""What can go wrong between a caller and its Redis."""


class StoreUnavailable(Exception):
    """No usable answer within the time-out; whether the command ran is unknown."""


class StoreUnaccepted(StoreUnavailable):
    """The server has lost its data, or is another one: an operator has to accept it."""


class StoreRefused(Exception):
    """The server answers, but we must not work with it as it is configured: an operator has to act."""


class StoreFault(Exception):
    """The server rejected a command as wrong: a bug of ours, never an outage."""


class AddressError(ValueError):
    """A store URL that cannot be read. The message names what is wrong and never holds the password."""


class EmbeddedServerError(Exception):
    """The private server could not be started or does not run."""
