"""``giftcert migrate``."""

from giftcert.cli.output import AsJson, say


def migrate(as_json: AsJson = False) -> None:
    """Bring the tables to the newest revision; may be repeated."""
    from giftcert.cli.server_errors import reaching_database
    from giftcert.embedded.addresses import with_database
    from giftcert.settings import load_settings
    from giftcert.storage.migrate import migrate as upgrade

    _, url = with_database(load_settings())
    with reaching_database(url):
        upgrade(url)
    say({"migrated": True}, "the tables are at the newest revision", as_json=as_json)
