"""Fuzz what strangers can reach: the decoding of topics, then the API. ``make fuzz``."""

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz import api

WHERE_ATHERIS_IS = (
    "atheris runs on Linux on x86_64 with Python before 3.14 only, so topics are not fuzzed here."
)


def main(arguments: list[str]) -> int:
    """Return 1 if an input or a request failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="records and batches to decode")
    parser.add_argument("--seconds", type=float, default=300, help="how long the API is asked")
    chosen = parser.parse_args(arguments)
    topics = fuzz_topics(chosen.inputs)
    return topics or api.main(chosen.seconds)


def fuzz_topics(inputs: int) -> int:
    """Decode so many inputs in a process of their own, which libFuzzer ends; return 1 if one failed."""
    if importlib.util.find_spec("atheris") is None:
        print(WHERE_ATHERIS_IS)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    command = [sys.executable, "-m", "tests.fuzz.topics", str(inputs), str(folder)]
    with (folder / "libfuzzer.txt").open("w+") as said:
        if subprocess.run(command, check=False, stderr=said).returncode:
            print(f"An input failed: the trace is in {said.name}, the input beside it.")
            return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
