import pytest

from simulators.addresses import Addresses, CommandError, run_giftcert, token_for


def test_nothing_set_means_the_services_own_defaults() -> None:
    addresses = Addresses.from_environment({})
    assert (addresses.api_url, addresses.bootstrap_servers) == ("http://127.0.0.1:8080", "127.0.0.1:9092")
    assert addresses.stream_topic == "GiftCertificates.Stream"


def test_the_services_settings_are_followed_and_the_simulators_own_win() -> None:
    environment = {
        "GIFTCERT_API_PORT": "1",
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": "kafka:2",
        "SIMULATORS_API_URL": "http://api:3",
        "GIFTCERT_TOPIC_ORDERS": "Orders.Elsewhere",
    }
    addresses = Addresses.from_environment(environment)
    assert addresses.api_url == "http://api:3"
    assert addresses.bootstrap_servers == "kafka:2"
    assert addresses.orders_topic == "Orders.Elsewhere"


async def test_a_token_from_the_environment_is_taken_as_it_is() -> None:
    assert await token_for("crm", {"SIMULATORS_TOKEN_CRM": "given"}) == "given"


async def test_a_refused_command_says_what_it_was() -> None:
    with pytest.raises(CommandError, match="giftcert no-such-command ended with"):
        await run_giftcert("no-such-command")
