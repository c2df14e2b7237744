"""The API as `giftcert api` serves it, without the rule that refuses embedded keys: here all parts are ours."""

import uvloop

from api.main import serve
from giftcert.settings import load_settings
from giftcert.telemetry import configure_logging

if __name__ == "__main__":
    configure_logging(load_settings())
    uvloop.run(serve(load_settings()))
