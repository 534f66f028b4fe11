"""Check the stub of every compiled module against the module, without an allowlist."""

import subprocess
import sys
from pathlib import Path

stubs = sorted(Path("src/groupstore/engine").glob("*.pyi"))
modules = [f"groupstore.engine.{stub.stem}" for stub in stubs]
sys.exit(subprocess.run([sys.executable, "-m", "mypy.stubtest", *modules], check=False).returncode)
