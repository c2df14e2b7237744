import pytest

from giftcert.redaction import REDACTED, redact

NUMBER = "4000000000000002"


def entry(**fields: object) -> dict[str, object]:
    return dict(redact(None, "info", {"event": "seen", **fields}))


@pytest.mark.parametrize(
    "key",
    [
        "cvc",
        "CVC",
        "sealedCvc",
        "number",
        "certificateNumber",
        "password",
        "token",
        "Authorization",
        "databaseUrl",
    ],
)
def test_nothing_under_a_secret_name_is_shown(key: str) -> None:
    assert entry(**{key: "123456"})[key] == REDACTED


def test_a_cvc_deep_inside_a_logged_message_is_not_shown() -> None:
    assert "123456" not in str(entry(reply={"items": [{"certificateId": "c", "cvc": "123456"}]}))


@pytest.mark.parametrize("text", [NUMBER, f"no {NUMBER}!", "4000 0000 0000 0002", "4000-0000-0000-0002"])
def test_a_number_in_any_text_is_not_shown(text: str) -> None:
    assert REDACTED in str(entry(detail=text)["detail"])
    assert "0002" not in str(entry(detail=text))


def test_a_number_logged_as_an_integer_is_not_shown() -> None:
    assert entry(value=int(NUMBER))["value"] == REDACTED


def test_a_number_in_an_exception_is_not_shown() -> None:
    assert NUMBER not in str(entry(error=ValueError(f"bad {NUMBER}")))


def test_bytes_are_shown_by_their_length_alone() -> None:
    assert entry(raw=NUMBER.encode())["raw"] == "16 bytes"


def test_the_password_of_an_address_is_not_shown() -> None:
    shown = str(entry(detail="postgresql://giftcert:hunter2@db:5432/giftcert")["detail"])
    assert shown == "postgresql://giftcert:***@db:5432/giftcert"


def test_what_a_person_needs_stays() -> None:
    fields = {
        "certificate": "0190d5a0-0000-7000-8000-000000000001",
        "masked": "************0002",
        "orderId": "IM-1001",
        "offset": 1234567,
        "took": 0.25,
        "at": "2026-11-23T10:00:00.123456Z",
        "kafkaTimestamp": 1795478228130,
        "none": None,
        "flag": True,
    }
    assert entry(**fields) == {"event": "seen", **fields}


def test_a_cvc_beside_its_number_is_not_shown() -> None:
    shown = str(entry(detail=f"tried {NUMBER}/123456, then cvc 654321")["detail"])
    assert shown == f"tried {REDACTED}, then {REDACTED}"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    shown = entry(detail="\x1b[2Jgone\x9b1A\u202e\r", lines="a\n\tb")
    assert shown == {
        "event": "seen",
        "detail": "\\x1b[2Jgone\\x9b1A\\u202e\\r",
        "lines": "a\n\tb",
    }
