"""Operations beside the trade: files of certificates are imported, over and over until each is in the pool."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from random import Random

from benchmarks.stack import GIFTCERT
from chaos.oracle import Book
from chaos.partners import PRODUCT
from chaos.stage import Stage

FILE_LINES = 200
AGAIN_SECONDS = 1.0
KILLED_OF = 3
"""Of so many attempts one is killed after some moments."""
_CVC_DIGITS = 6


async def import_file(stage: Stage, book: Book, random: Random, number: int) -> None:
    """Make a file and import it until a command has ended well; the book has its certificates from the beginning."""
    file = stage.folders[0] / f"import-{number}.csv"
    file.write_text(_file_of(random, number))
    book.imported += FILE_LINES
    while await _attempt(stage, file, random):  # noqa: ASYNC110 - of another process
        await asyncio.sleep(AGAIN_SECONDS)


async def _attempt(stage: Stage, file: Path, random: Random) -> int:
    command = (*GIFTCERT, "pool", "import", str(file), "--product", PRODUCT)
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env=stage.stack.environment, stdout=silent, stderr=silent
    )
    patience = random.uniform(1, 4) if random.randrange(KILLED_OF) == 0 else None
    try:
        with suppress(TimeoutError):
            return await asyncio.wait_for(process.wait(), patience)
        process.send_signal(signal.SIGKILL)
        return await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise


def _file_of(random: Random, number: int) -> str:
    """Return numbers that no other file has, with their check digits by the algorithm of Luhn, and CVCs."""
    rows = ["number,cvc"]
    for row in range(FILE_LINES):
        body = f"77{number:05}{row:04}{random.randrange(10**4):04}"
        rows.append(f"{body}{_check_digit(body)},{random.randrange(10**_CVC_DIGITS):0{_CVC_DIGITS}}")
    return "\n".join(rows) + "\n"


def _check_digit(body: str) -> int:
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(body))]
    return -sum(one - 9 if one > 9 else one for one in doubled) % 10
