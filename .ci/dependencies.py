"""Print the runtime dependencies, for pip: they are installed without the package itself."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
print(*project["dependencies"])
