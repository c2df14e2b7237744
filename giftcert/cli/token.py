"""``giftcert token``: bearer tokens of an embedded stack."""

from typing import Annotated

import typer

from giftcert.cli.output import AsJson, say


def token(
    role: Annotated[list[str], typer.Option(help="channel, crm, support or ops; may be repeated")],
    channel: Annotated[list[str] | None, typer.Option(help="For which channels; by default all")] = None,
    subject: Annotated[str | None, typer.Option(help="Who calls; by default the first role")] = None,
    hours: Annotated[int, typer.Option(min=1, max=24 * 366, help="How long it is good")] = 12,
    as_json: AsJson = False,
) -> None:
    """Sign a token with the key of the embedded stack; elsewhere the company's issuer gives them."""
    from datetime import timedelta

    from giftcert.cli.errors import CommandError
    from giftcert.clock import utc_now
    from giftcert.security import EmbeddedKeys, Role, TokenIssuer
    from giftcert.settings import load_settings

    settings = load_settings()
    keys = EmbeddedKeys.of(settings)
    unknown = [name for name in role if name not in set(Role)]
    if unknown:
        raise CommandError(f"there is no role {unknown[0]}; there are {', '.join(Role)}")
    if settings.jwt_jwks is not None and settings.jwt_jwks.resolve() != keys.jwks:
        raise CommandError("GIFTCERT_JWT_JWKS names another issuer's keys: tokens come from that issuer")
    if not keys.private_key.exists():
        raise CommandError(
            f"{settings.state_dir} has no keys: start `giftcert up`, or run `giftcert keys init`"
        )
    issuer = TokenIssuer.load(keys.private_key, settings.jwt_issuer, settings.jwt_audience)
    channels = channel if channel is not None else list(settings.channels)
    signed = issuer.issue(subject or role[0], role, channels, utc_now(), timedelta(hours=hours))
    data = {
        "token": signed,
        "subject": subject or role[0],
        "roles": role,
        "channels": channels,
        "hours": hours,
    }
    say(data, signed, as_json=as_json)
