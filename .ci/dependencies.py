"""Print the runtime dependencies, for pip: they are installed without the package itself.

With `--extras`, those of the extras too. With another argument, those of that dependency group: pip
takes a group only as a whole.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())
extras = project["project"]["optional-dependencies"].values()
if len(sys.argv) == 1:
    print(*project["project"]["dependencies"])
elif sys.argv[1] == "--extras":
    print(*project["project"]["dependencies"], *(one for extra in extras for one in extra))
else:
    print(*project["dependency-groups"][sys.argv[1]])
