"""HTTP connections: uvicorn's, bounded in bytes, time and number, and closed so that no request is lost (ADR 66)."""

import asyncio
import math
from enum import Enum, auto
from typing import Any

from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.middleware import SECURITY_HEADERS
from api.problems import RETRY_AFTER, Problem, ProblemError, answer

REQUEST_SECONDS = 10.0  # from the first byte, or the connection, to the last byte of a request
KEEP_ALIVE_SECONDS = 75  # longer than load balancers keep a connection, so that none uses one that we close
LINGER_SECONDS = 2.0
MOST_LINGERING = 500
HEAD_BYTES = 32 * 1024  # on the wire: request line, and headers with what stands around them
WIRE_PER_BODY = 2  # bytes on the wire for one of a body at most: with what chunks and their trailers add
MOST_PIPELINED = 16
CONNECTIONS_REFUSED = Counter(
    "giftcert_http_connections_refused_total",
    "Connections that were closed with a problem of the protocol, by problem",
    ["problem"],
)


class _Phase(Enum):
    """What of a request has come."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class BoundedConnection(HttpToolsProtocol):
    """A connection that is given up, with a problem where one can still be sent, when it goes beyond its bounds.

    httptools collects a header or trailer of any length before it reports it, and uvicorn waits for ever for the rest
    of a request: a line of 50 MB held up all others for 8 s.
    """

    def __init__(self, *arguments: Any, most: int, body_bytes: int, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **options)
        self._most = most
        self._body = WIRE_PER_BODY * body_bytes
        self._phase = _Phase.NOTHING
        self._left = HEAD_BYTES  # that may come until the head, or then the body, is complete
        self._is_deaf = self._is_draining = False
        self.expires = math.inf
        """On the clock of the loop: when it is given up, unless what it waits for comes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        self._wait(REQUEST_SECONDS)
        if len(self.connections) > self._most + MOST_LINGERING:
            self.transport.abort()
        elif len(self.connections) > self._most:
            self._refuse(Problem.OVERLOADED)

    def data_received(self, data: bytes) -> None:
        """Parse no more than head and body may take."""
        if self.expires == math.inf:
            self._wait(REQUEST_SECONDS)
        while len(data) > self._left and not self._is_deaf:
            part, data, self._left = data[: self._left], data[self._left :], 0
            super().data_received(part)
            if self._left == 0:
                self._exceed()
        if not self._is_deaf:
            self._left -= len(data)
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Give a request its time: the first one that of its connection."""
        super().on_message_begin()
        self._phase = _Phase.HEAD
        if self.expires == math.inf:
            self._wait(REQUEST_SECONDS)
        self.scope["state"]["deadline"] = self.expires

    def on_headers_complete(self) -> None:
        """Have a request answered."""
        if len(self.pipeline) >= MOST_PIPELINED:
            raise OverflowError("too many pipelined requests")  # the parser stops at any exception
        super().on_headers_complete()
        self._phase, self._left = _Phase.BODY, self._body
        if self._is_draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Wait for nothing: now it is our turn."""
        super().on_message_complete()
        self._phase, self._left, self.expires = _Phase.NOTHING, HEAD_BYTES, math.inf

    def on_response_complete(self) -> None:
        """Go on with the next request, if the connection is still good for one."""
        super().on_response_complete()
        if self._is_answering():
            return  # a pipelined request
        if self._is_deaf:
            self._linger()
        elif self._phase is not _Phase.NOTHING:
            self._wait(REQUEST_SECONDS)

    def pause_writing(self) -> None:
        """Give a client who does not read its answers as much time as a request has."""
        super().pause_writing()
        self._wait(REQUEST_SECONDS)

    def resume_writing(self) -> None:
        """Wait for the next request again."""
        super().resume_writing()
        self._wait(math.inf if self._phase is _Phase.NOTHING else REQUEST_SECONDS)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Answer what is no HTTP with a problem of ours."""
        self._refuse(Problem.MALFORMED_REQUEST)

    def drain(self) -> None:
        """Say with the next answer, or the one under way if it has not begun, that the connection closes."""
        self._is_draining = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_started:
            cycle.keep_alive = False

    def expire(self) -> None:
        """Give up what was waited for."""
        self.expires = math.inf
        if self._is_deaf or self.flow.write_paused:
            self.transport.abort()
        elif self._phase is _Phase.HEAD:
            self._refuse(Problem.REQUEST_TIMEOUT)
        elif not self._is_answering():
            self._linger()

    def _wait(self, seconds: float) -> None:
        self.expires = self.loop.time() + seconds

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _exceed(self) -> None:
        """Read no further. Who waits for a body hears of it when the request's time is over."""
        if self._phase is not _Phase.BODY:
            self._refuse(Problem.HEADERS_TOO_LARGE)
        elif self._is_answering():
            self._is_deaf = True
            self.flow.pause_reading()
        else:
            self._linger()

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem and close; a request that came whole before is answered first, and nothing else."""
        CONNECTIONS_REFUSED.labels(problem.slug).inc()
        if self._is_answering():
            self._is_deaf, self.cycle.keep_alive = True, False
            if self._phase is not _Phase.BODY:
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(_written(problem))
        self._linger()

    def _linger(self) -> None:
        """Close in two steps: to a client that still sends, closing at once is a reset, and the answer lost."""
        self._is_deaf = True
        self._wait(LINGER_SECONDS)
        self.flow.resume_reading()
        if not self.transport.is_closing():
            self.transport.write_eof()


def _written(problem: Problem) -> bytes:
    """Return a whole answer as it goes over the wire."""
    response = answer(
        ProblemError(problem, retry_after=RETRY_AFTER if problem is Problem.OVERLOADED else None)
    )
    headers = [*response.raw_headers, *SECURITY_HEADERS, (b"connection", b"close")]
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return STATUS_LINE[problem.status] + lines + b"\r\n" + bytes(response.body)
