import pytest

from simulators.addresses import Addresses, CommandError, run_giftcert, token_for


async def test_the_simulators_settings_win_and_topics_may_have_other_names() -> None:
    environment = {
        "SIMULATORS_API_URL": "http://api:3",
        "SIMULATORS_KAFKA_BOOTSTRAP_SERVERS": "kafka:2",
        "GIFTCERT_TOPIC_ORDERS": "Orders.Elsewhere",
    }
    addresses = await Addresses.found(environment)
    assert addresses.api_url == "http://api:3"
    assert addresses.bootstrap_servers == "kafka:2"
    assert (addresses.orders_topic, addresses.stream_topic) == ("Orders.Elsewhere", "GiftCertificates.Stream")


async def test_what_is_not_set_is_that_of_the_stack_that_runs_here_whatever_its_ports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(*arguments: str) -> bytes:
        assert arguments == ("addresses", "--json")
        return b'{"api": "http://127.0.0.1:20001", "kafka": "127.0.0.1:20002", "web-ui": "x"}'

    monkeypatch.setattr("simulators.addresses.run_giftcert", answer)
    found = await Addresses.found({"SIMULATORS_API_URL": "http://api:3"})
    assert (found.api_url, found.bootstrap_servers) == ("http://api:3", "127.0.0.1:20002")
    assert (await Addresses.found({})).api_url == "http://127.0.0.1:20001"


async def test_a_token_from_the_environment_is_taken_as_it_is() -> None:
    assert await token_for("crm", {"SIMULATORS_TOKEN_CRM": "given"}) == "given"


async def test_a_refused_command_says_what_it_was() -> None:
    with pytest.raises(CommandError, match="giftcert no-such-command ended with"):
        await run_giftcert("no-such-command")
