"""The pool: what is alive is used again, what is not is dropped."""

from collections.abc import Callable
from typing import Any, cast

from proxy.exchange.upstream.pool import KEEP_ALIVE_S, Pool, Wire


class Timer:
    def __init__(self, at_s: float, callback: Callable[[], None]) -> None:
        self.at_s, self.callback, self.cancelled = at_s, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A clock that moves when told, and its timers."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at_s, callback))
        return self.timers[-1]

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return self.call_at(self.now_s + delay_s, callback)

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        due = [timer for timer in self.timers if timer.at_s <= self.now_s and not timer.cancelled]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            timer.callback()


class Connection:
    """One of the connector's, and its transport in one."""

    def __init__(self) -> None:
        self.transport = self
        self.protocol: Any = None
        self.aborted = False
        self.closed = False

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.aborted

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol


def made() -> tuple[Pool, Loop]:
    loop = Loop()
    return Pool(cast("Any", loop)), loop


def wire(origin: str = "http://one") -> tuple[Wire, Connection]:
    connection = Connection()
    return Wire(cast("Any", connection), origin), connection


def test_the_last_is_used_first() -> None:
    """Of two connections the one that was used last is used next; origins do not mix; each is handed out once."""
    pool, _ = made()
    first, second, other = wire()[0], wire()[0], wire("http://other")[0]
    assert (False,) == (first.reused,)
    for each in (first, second, other):
        pool.put(each)
    assert (True,) == (first.reused,)
    assert [second, first, None] == [pool.take("http://one") for _ in range(3)]
    assert [other, None] == [pool.take("http://other") for _ in range(2)]
    assert None is pool.take("http://third")


def test_a_byte_while_idle_ends_it() -> None:
    """Bytes that nobody asked for end the connection: they would be read as the next answer."""
    pool, _ = made()
    idle, connection = wire()
    pool.put(idle)
    connection.protocol.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert (True, True) == (connection.aborted, connection.closed)
    assert None is pool.take("http://one")


def test_a_loss_while_idle() -> None:
    """A connection that the provider closes is not handed out; one beneath it is."""
    pool, _ = made()
    (alive, _), (lost, connection) = wire(), wire()
    pool.put(alive)
    pool.put(lost)
    connection.protocol.connection_lost(None)
    assert connection.closed
    assert alive is pool.take("http://one")


def test_old_ones_go() -> None:
    """A connection that nobody takes is closed when its time is over, and a younger one later."""
    pool, loop = made()
    (old, first), (young, second) = wire(), wire("http://other")
    pool.put(old)
    loop.advance(KEEP_ALIVE_S / 2)
    pool.put(young)
    loop.advance(KEEP_ALIVE_S / 2)
    assert (True, False) == (first.closed, second.closed)
    loop.advance(KEEP_ALIVE_S / 2)
    assert second.closed
    assert [] == loop.timers
    again, third = wire()
    pool.put(again)
    loop.advance(KEEP_ALIVE_S)
    assert third.closed


def test_too_old_to_use() -> None:
    """One whose time is over is not handed out, swept or not."""
    pool, loop = made()
    old, connection = wire()
    pool.put(old)
    loop.now_s += KEEP_ALIVE_S
    assert None is pool.take("http://one")
    assert connection.closed


def test_close() -> None:
    """Closing drops all that idle and stops the timer."""
    pool, loop = made()
    connections = []
    for origin in ("http://one", "http://two"):
        idle, connection = wire(origin)
        pool.put(idle)
        connections.append(connection)
    pool.close()
    assert [True, True] == [connection.closed for connection in connections]
    assert [True] == [timer.cancelled for timer in loop.timers]


def test_origins_that_are_no_longer_used() -> None:
    """Idle connections to them go at once, others when they come back; an origin that is used again is kept again."""
    pool, _ = made()
    (idle, idle_connection), (other, other_connection), (late, late_connection) = (
        wire(),
        wire("http://other"),
        wire(),
    )
    pool.put(idle)
    pool.put(other)
    pool.retire(frozenset({"http://one"}))
    pool.put(late)
    assert (True, False, True) == tuple(
        each.closed for each in (idle_connection, other_connection, late_connection)
    )
    assert (None, other) == (pool.take("http://one"), pool.take("http://other"))
    pool.retire(frozenset())
    again, _ = wire()
    pool.put(again)
    assert again is pool.take("http://one")
