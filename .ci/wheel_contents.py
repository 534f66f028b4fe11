"""Check what a wheel holds: every compiled module with its stub, and no source of one."""

import sys
import zipfile
from pathlib import Path

names = zipfile.ZipFile(sys.argv[1]).namelist()
sources = [name for name in names if Path(name).suffix in {".pyx", ".pxd", ".c", ".h"}]
if sources:
    sys.exit(f"the wheel holds sources: {sources}")
expected = {path.stem for path in Path("src/groupstore/engine").glob("*.pyx")}
for kind, ending in (("compiled", (".so", ".pyd")), ("stubs of", (".pyi",))):
    found = {Path(name).name.partition(".")[0] for name in names if name.endswith(ending)}
    if found != expected:
        sys.exit(f"the wheel lacks {kind} {expected - found}, has beyond them {found - expected}")
print(f"the wheel holds {len(expected)} compiled modules, their stubs, and no source of them")
