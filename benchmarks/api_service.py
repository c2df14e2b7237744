"""The API as `giftcert api` serves it, without the rule that refuses embedded keys: here all parts are ours."""

import uvloop

from api.main import serve
from giftcert.logs import configure_logging
from giftcert.settings import load_settings

if __name__ == "__main__":
    configure_logging(load_settings(), "api")
    uvloop.run(serve(load_settings()))
