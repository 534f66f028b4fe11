"""Print the runtime dependencies, for pip: they are installed without the package itself.

With an argument, those of that dependency group: pip takes a group only as a whole.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())
if len(sys.argv) == 1:
    print(*project["project"]["dependencies"])
else:
    print(*project["dependency-groups"][sys.argv[1]])
