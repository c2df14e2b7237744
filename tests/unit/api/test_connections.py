"""What a connection may do, over real sockets."""

import asyncio
import json
import resource
import socket
from collections.abc import Iterator

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from api import connections, server
from api.connections import HEAD_BYTES, MOST_PIPELINED
from api.middleware import ALWAYS_ANSWERED
from api.server import OTHER_FILES, raise_file_limit
from tests.unit.api.served import answer_all, answer_body, served
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all time-outs short."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.1)
    monkeypatch.setattr(server, "TICKS_PER_SECOND", 1)


def assert_problem(answer: tuple[int, dict[str, str], bytes], status: int, name: str) -> None:
    found, headers, body = answer
    assert found == status
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert json.loads(body)["type"] == f"/problems/{name}"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nx: " + b"x" * 1_000_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000,
        b"GET /" + b"x" * 1_000_000,
        b"\r\n" * 500_000,
    ],
    ids=["a long line", "many lines", "a long path", "empty lines"],
)
async def test_a_head_that_does_not_end_is_refused_while_it_comes(head: bytes) -> None:
    async with served() as api, api.connection() as wire:
        wire.writer.write(head)
        assert_problem(await wire.answer(), 431, "headers-too-large")
        wire.writer.close()


async def test_headers_of_more_than_16_kb_are_refused_by_what_they_take_on_the_wire() -> None:
    async with served() as api:
        fits, exceeds = (b"".join(b"x%05d: y\r\n" % n for n in range(count)) for count in (1_400, 1_700))
        assert (await api.answer(GET[:-2] + fits + b"\r\n"))[0] == 200
        assert_problem(await api.answer(GET[:-2] + exceeds + b"\r\n"), 431, "headers-too-large")


async def test_no_trailer_of_a_body_is_collected_without_end(hurry: None) -> None:  # noqa: ARG001
    async with served() as api, api.connection() as wire:
        wire.writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: " + b"x" * 1_000_000)
        assert (await wire.answer())[0] == 200  # it never looked at the body
        assert await wire.is_closed()


async def test_a_body_that_is_too_large_is_refused_and_the_answer_reaches_who_still_sends() -> None:
    async with served(answer_body) as api, api.connection() as wire:
        wire.writer.write(POST + b"Content-Length: 50000000\r\n\r\n" + b"x" * 10_000_000)
        # The bare application does not know problems; what matters is that an answer comes back.
        assert (await wire.answer())[0] in {413, 500}


async def test_a_body_that_nobody_reads_leaves_the_connection_good_for_the_next_request() -> None:
    async with served() as api, api.connection() as wire:
        wire.writer.write(POST + b"Content-Length: 5\r\n\r\n")
        assert (await wire.answer())[0] == 200
        wire.writer.write(b"12345" + GET)
        assert (await wire.answer())[0] == 200


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_a_connection_on_which_nothing_comes_is_closed(hurry: None, sent: bytes) -> None:  # noqa: ARG001
    async with served() as api, api.connection() as wire:
        wire.writer.write(sent)
        assert await wire.is_closed()


@pytest.mark.parametrize("before", [0, 1])
async def test_a_head_that_is_not_there_in_time_is_answered_408(hurry: None, before: int) -> None:  # noqa: ARG001
    async with served() as api, api.connection() as wire:
        for _ in range(before):
            wire.writer.write(GET)
            assert (await wire.answer())[0] == 200
        wire.writer.write(GET[:-2])
        assert_problem(await wire.answer(), 408, "request-timeout")
        assert await wire.is_closed()


async def test_an_idle_connection_is_kept_longer_than_a_request_may_take(hurry: None) -> None:  # noqa: ARG001
    async with served() as api, api.connection() as kept, api.connection() as other:
        kept.writer.write(GET)
        assert (await kept.answer())[0] == 200
        assert await other.is_closed()  # it has sent nothing for as long as a request may take
        kept.writer.write(GET)
        assert (await kept.answer())[0] == 200
    assert connections.KEEP_ALIVE_SECONDS > 60


async def test_what_is_no_http_is_answered_with_a_problem() -> None:
    async with served() as api:
        assert_problem(await api.answer(b"\x16\x03\x01 hello\r\n\r\n"), 400, "malformed-request")


async def test_who_sends_many_requests_at_once_gets_answers_to_the_first_of_them() -> None:
    async with served() as api, api.connection() as wire:
        wire.writer.write(GET * 5_000)
        answers = [await wire.answer() for _ in range(MOST_PIPELINED + 1)]
        assert {status for status, _, _ in answers} == {200}
        assert answers[-1][1]["connection"] == "close"
        assert await wire.is_closed()


async def test_more_connections_than_the_bound_are_answered_503() -> None:
    async with served(connections=2) as api, api.connection() as first, api.connection() as second:
        for wire in (first, second):
            wire.writer.write(GET)
            assert (await wire.answer())[0] == 200
        refused = await api.answer(GET)
        assert_problem(refused, 503, "overloaded")
        assert int(refused[1]["retry-after"]) > 0
        first.writer.write(GET)
        assert (await first.answer())[0] == 200


async def test_more_requests_at_once_than_the_bound_are_answered_503() -> None:
    go_on = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in ALWAYS_ANSWERED:
            await go_on.wait()
        await answer_all(scope, receive, send)

    async with served(wait, requests=1) as api, api.connection() as wire:
        wire.writer.write(GET)
        refused = (200, {}, b"")
        while refused[0] != 503:  # the first may not have been read yet, and then waits itself
            refused = await api.answer(GET)
        assert_problem(refused, 503, "overloaded")
        assert int(refused[1]["retry-after"]) > 0
        for path in ALWAYS_ANSWERED:
            assert (await api.answer(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))[0] == 200
        go_on.set()
        assert (await wire.answer())[0] == 200


async def test_a_client_that_reads_no_answers_is_cut_off(hurry: None) -> None:  # noqa: ARG001
    async def answer_much(_: Scope, __: Receive, send: Send) -> None:
        size = 50_000_000
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})

    async with served(answer_much) as api, api.connection() as wire:
        wire.writer.write(GET)
        await until(lambda: bool(api.server.server_state.connections))
        await until(lambda: not api.server.server_state.connections)


def test_connections_that_come_together_are_taken_together() -> None:
    """uvloop takes one in each round of its loop, of which an overloaded process has few."""

    async def rounds_until_all_are_taken() -> int:
        loop, rounds = asyncio.get_running_loop(), 0

        def count_round() -> None:
            nonlocal rounds
            rounds += 1
            loop.call_soon(count_round)

        async with served() as api:
            await until(lambda: api.server.takes_connections)
            clients = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(60)]
            loop.call_soon(count_round)
            while len(api.server.server_state.connections) < len(clients):  # noqa: ASYNC110 - round by round
                await asyncio.sleep(0)
            for client in clients:
                client.close()
            return rounds

    assert uvloop.run(rounds_until_all_are_taken()) < 30


# Shutting down --------------------------------------------------------------------------------------


async def test_a_kept_connection_is_answered_once_more_and_told_to_close_when_the_server_ends() -> None:
    async with served(drain=30) as api, api.connection() as wire:
        wire.writer.write(GET)
        assert "connection" not in (await wire.answer())[1]
        api.server.should_exit = True
        await until(lambda: not api.server.takes_connections)
        wire.writer.write(GET)
        status, headers, _ = await wire.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await wire.is_closed()


async def test_a_connection_whose_answer_has_begun_is_kept_as_it_says_and_told_with_the_next() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def answer_in_two(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"ok"})

    async with served(answer_in_two, drain=30) as api, api.connection() as wire:
        wire.writer.write(GET)
        await begun.wait()
        api.server.should_exit = True
        await until(lambda: not api.server.takes_connections)
        go_on.set()
        assert "connection" not in (await wire.answer())[1]
        wire.writer.write(GET)
        assert (await wire.answer())[1]["connection"] == "close"


async def test_a_connection_that_stays_idle_does_not_hold_up_the_end_for_longer_than_the_drain() -> None:
    async with served(drain=0.2) as api, api.connection() as wire:
        wire.writer.write(GET)
        await wire.answer()
        api.server.should_exit = True
        assert await wire.is_closed()


# The limit of open files ----------------------------------------------------------------------------


@pytest.fixture
def file_limit() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_to_what_the_connections_take(file_limit: tuple[int, int]) -> None:
    _, hard = file_limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert raise_file_limit(500) == 500
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 500 + OTHER_FILES


def test_where_it_cannot_be_raised_fewer_connections_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, OTHER_FILES + 40))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert raise_file_limit(500) == 40
    assert HEAD_BYTES > 16 * 1024
