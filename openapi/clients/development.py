"""What the two Python clients are tried with: a number of their own, and the code that development shows."""

import json
import sys
import uuid
from urllib.request import urlopen


def service() -> str:
    """The service's URL, the command line's one argument."""
    return sys.argv[1]


def number(last: int) -> str:
    return f"1390000{last:04}"


def installation() -> str:
    """The `uuid` that a client makes once, and keeps."""
    return str(uuid.uuid4())


def last_code(mobile: str) -> str:
    with urlopen(f"{service()}/dev/sms?mobile={mobile}") as answer:
        return json.load(answer)[0]["code"]


def expect(condition: bool, seen: object) -> None:
    if not condition:
        sys.exit(f"not as it should be: {seen}")
