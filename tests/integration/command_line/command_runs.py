"""What running a command looks like to a test."""

import subprocess
from collections.abc import Callable

RunCommand = Callable[..., "subprocess.CompletedProcess[str]"]
