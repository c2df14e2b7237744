"""Operations: count the pool, withdraw a certificate and follow that to its end, list what the stream reports.

python operations.py CERTIFICATE_ID
"""

import json
import sys

from partner import Api, fresh, read_stream, until


def retire(api: Api, certificate_id: str) -> dict:
    """What is not sold is retired, what is sold is blocked. A batch takes a while, so the answer is an operation."""
    asked = {"certificateId": certificate_id, "reason": "the printer lost a box"}
    operation = api.call("POST", "/pool/retire", key=fresh("retire"), json=asked)
    path = f"/operations/{operation['operationId']}"
    return until(lambda: (found := api.call("GET", path))["finishedAt"] and found)


def reports() -> list[dict]:
    """Return the alerts and errors of the stream, with what a person needs to act; how, says events.md."""
    events = (json.loads(one.value()) for one in read_stream())
    return [
        {"eventType": one["eventType"], "certificateId": one["certificateId"], **one["payload"]}
        for one in events
        if one["eventType"].startswith(("alert.", "error."))
    ]


def main(certificate_id: str) -> None:
    api = Api()
    before = {one["product"]: one["available"] for one in api.call("GET", "/pool")}
    operation = retire(api, certificate_id)
    outcome = {name: operation[name] for name in ("total", "done", "retired", "blocked")}
    print(json.dumps({"available": before, "operation": outcome, "reports": reports()}))


if __name__ == "__main__":
    main(sys.argv[1])
