"""One word when the store goes away, one when it is back, however many nodes and causes there are."""

import asyncio
from collections.abc import Callable
from typing import Final

FULL: Final = "OOM"
"""How a server that is out of memory begins to say so."""


class Outage:
    """What is wrong with each server at present.

    `on_down` is called with the first reason when something is wrong for the first time, and again with one that waits
    for an operator; `on_up` when nothing is any more. Both are loop callbacks of their own, so that an error in one of
    them ends nothing here.
    """

    __slots__ = ("_lost", "_muted", "_on_down", "_on_up", "refusals")

    def __init__(self, on_down: Callable[[str], None], on_up: Callable[[], None]) -> None:
        self._on_down = on_down
        self._on_up = on_up
        self._muted = False
        self._lost: dict[str, str] = {}
        self.refusals: dict[str, str] = {}
        """Why each server takes no writes although it answers, by the server's name."""

    @property
    def present(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._lost or self.refusals)

    def lost(self, name: str, reason: str, *, act: bool = False) -> None:
        """The server cannot be used, or a part of the cluster has none.

        Args:
            act: it stays so until an operator acts, who is told this reason although others came before it.
        """
        told = act and self.present and self._lost.get(name) != reason
        self._note(self._lost, name, reason)
        if told:
            self._tell(self._on_down, reason)

    def refuses(self, name: str, reason: str) -> None:
        """The server answers but takes no writes."""
        self._note(self.refusals, name, reason)

    def found(self, name: str) -> None:
        """The server can be used."""
        if self._lost.pop(name, None) is not None:
            self._tell_if_over()

    def takes_writes(self, name: str, *, when_full: bool = False) -> None:
        """The server has just taken a write; one of those that it takes `when_full`, too."""
        if when_full and self.refusals.get(name, "").startswith(FULL):
            return
        if self.refusals.pop(name, None) is not None:
            self._tell_if_over()

    def forget(self, name: str) -> None:
        """The server is no longer ours."""
        was_present = self.present
        self._lost.pop(name, None)
        self.refusals.pop(name, None)
        if was_present:
            self._tell_if_over()

    def mute(self) -> None:
        """Call nobody back any more."""
        self._muted = True

    def _note(self, causes: dict[str, str], name: str, reason: str) -> None:
        is_first = not self.present
        causes[name] = reason
        if is_first:
            self._tell(self._on_down, reason)

    def _tell_if_over(self) -> None:
        if not self.present:
            self._tell(self._on_up)

    def _tell(self, callback: Callable[..., None], *arguments: str) -> None:
        if not self._muted:
            asyncio.get_running_loop().call_soon(callback, *arguments)
