"""Takes the picture of the README: a real demo, as a terminal of 100 columns shows it.

``python -m tests.demo_picture docs/images/demo.svg``
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 100, 36
COLOURS = {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(COLUMNS)}
"""Colours, and of moving bars only the last state; as rich understands them."""
# Fonts from elsewhere are not loaded where the picture is shown.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    """Run the demo and write the picture."""
    command = [sys.executable, "-m", "giftcert.cli", "demo"]
    with TemporaryDirectory() as folder:
        environment = {**os.environ, **COLOURS, "GIFTCERT_STATE_DIR": folder}
        shown = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = shown.strip("\n").split("\n")[:LINES]
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True)
    console.print("[bold]$ make demo[/]")
    console.print(Text.from_ansi("\n".join([*lines, "…"])), soft_wrap=True)
    svg = console.export_svg(title="make demo", code_format=FORMAT, unique_id="demo")
    Path(sys.argv[1]).write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), "utf-8")


if __name__ == "__main__":
    main()
