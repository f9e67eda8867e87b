"""That something was changed here, so that nothing remembered from before is trusted."""


class Changes:
    """Of the records of one store, by this process.

    Attributes:
        count: of those made, or begun and perhaps made.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0
