"""What has to hold before a release: one version everywhere, what the sdist holds, the licences.

Arguments: the sdist, and, where there is one already, the tag.
"""

import re
import sys
import tarfile
import tomllib
from importlib import metadata
from pathlib import Path

# The EUPL-1.2 lets itself be used with all of these; its appendix and article 5.
# An expression of several has to be looked at.
FREE = re.compile(
    r"^(?:License :: OSI Approved :: )?(?:The )?"
    r"(any-OSI|Apache|BSD|EUPL|ISC|MIT|MPL|PSF|Python-2\.0|zlib)\b(?!.* (?:AND|OR|WITH) )",
    re.IGNORECASE,
)

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
version = project["version"]
problems = []

text = Path("src/groupstore/__init__.py").read_text(encoding="utf-8")
if f'__version__ = "{version}"' not in text:
    problems.append(f"groupstore.__version__ is not {version}, as pyproject.toml has it")
heading = re.search(r"^## (.+)$", Path("CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
if heading is None or heading[1].partition(", ")[0] != version:
    problems.append(f"the changelog does not begin with {version}")
if len(sys.argv) > 2:
    if sys.argv[2] != f"v{version}":
        problems.append(f"the tag {sys.argv[2]} is not v{version}")
    if heading is None or not re.fullmatch(r".+, \d{4}-\d{2}-\d{2}", heading[1]):
        problems.append("the changelog does not begin with the day of this release")

with tarfile.open(sys.argv[1]) as sdist:
    held = {name.partition("/")[2] for name in sdist.getnames()}
tracked = {
    str(path)
    for folder in ("src", "tests", "docs", "examples", "benchmarks", ".ci")
    for path in Path(folder).rglob("*")
    if path.is_file() and path.suffix not in {".so", ".pyd", ".pyc"} and "egg-info" not in str(path)
}
tracked |= {
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"),
    *("Makefile", "pyproject.toml", "setup.py"),
}
if missing := sorted(tracked - held):
    problems.append(f"the sdist lacks {missing}")
own = {"PKG-INFO", "setup.cfg", "MANIFEST.in", ""}
surplus = sorted(
    name
    for name in held - tracked - own
    if "egg-info" not in name and not any(path.startswith(f"{name}/") for path in held)
)
if surplus:
    problems.append(f"the sdist holds besides {surplus}")

needed = {re.split(r"[\[<>=~! ]", need)[0] for need in project["dependencies"]}
for extra in project["optional-dependencies"].values():
    needed |= {re.split(r"[\[<>=~! ]", need)[0] for need in extra}
for name in sorted(needed):
    about = metadata.metadata(name)
    licences = [
        *(about.get_all("License-Expression") or ()),
        *(line for line in about.get_all("Classifier") or () if line.startswith("License")),
        *(about.get("License") or "").splitlines()[:1],
    ]
    found = next((licence for licence in licences if FREE.search(licence)), None)
    print(f"{name} {about['Version']}: {found or licences}")
    if found is None:
        problems.append(f"the licence of {name} is not known to be fit: {licences}")

if problems:
    sys.exit("\n".join(problems))
print(f"{version} can be tagged")
