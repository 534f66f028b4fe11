"""What has to hold before a release: one version everywhere, what the sdist holds, the licences.

Arguments: the sdist, and, where there is one already, the tag.
"""

from __future__ import annotations

import ast
import datetime
import re
import subprocess
import sys
import tarfile
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The EUPL-1.2 lets itself be used with all of these; its appendix and article 5.
FIT = re.compile(r"(Apache|BSD|EUPL|ISC|MIT|MPL|PSF|Python|Zlib)-?[\w.-]*", re.IGNORECASE)

# What older metadata has in place of an expression: whole lines, as "MIT, GPL" says nothing.
OLD_NAMES = {
    # https://rogerbinns.github.io/apsw/copyright.html
    "any-OSI": "Zlib",
    "MIT": "MIT",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
}

BESIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")
FOLDERS = ("src", "tests", "docs", "examples", "benchmarks", ".ci")
OWN = {"PKG-INFO", "setup.cfg", "MANIFEST.in"}


def version_problems(version: str, module: str, changelog: str, tag: str | None) -> list[str]:
    """What is not as it has to be for this version; `module` and `changelog` are texts."""
    problems = []
    if assigned(module, "__version__") != version:
        problems.append(f"groupstore.__version__ is not {version}, as pyproject.toml has it")
    headings = re.split(r"^## (.+)$", changelog, flags=re.MULTILINE)[1:3]
    title, section = headings if headings else ("", "")
    named, _, day = title.partition(", ")
    if named != version:
        problems.append(f"the changelog does not begin with {version}")
    if not re.search(r"^- \w", section, re.MULTILINE):
        problems.append(f"the changelog says nothing of {version}")
    if tag is not None:
        if tag != f"v{version}":
            problems.append(f"the tag {tag} is not v{version}")
        try:
            datetime.date.fromisoformat(day)
        except ValueError:
            problems.append("the changelog does not begin with the day of this release")
    return problems


def assigned(module: str, name: str) -> object:
    """The literal that a module gives to a name."""
    for statement in ast.parse(module).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return ast.literal_eval(statement.value)
    return None


def content_problems(held: set[str], tracked: set[str]) -> list[str]:
    """What the sdist's files lack of those that git tracks, and what they have besides."""
    wanted = {
        path
        for path in tracked
        if path.partition("/")[0] in FOLDERS
        or path in {*BESIDE, "Makefile", "pyproject.toml", "setup.py"}
    }
    surplus = {name for name in held - tracked - OWN if "egg-info" not in name}
    return [
        *(f"the sdist lacks {path}" for path in sorted(wanted - held)),
        *(f"the sdist holds besides {path}" for path in sorted(surplus)),
    ]


def is_fit(expression: str) -> bool:
    """Whether an SPDX licence expression lets itself be met by licences that fit.

    Raises `InvalidLicenseExpression`.
    """
    # OR binds least, then AND, then WITH (SPDX 2.3, annex D.4), as in Python.
    tokens = re.findall(r"[()]|[^\s()]+", canonicalize_license_expression(expression))
    python = []
    for at, token in enumerate(tokens):
        if token in ("(", ")"):
            python.append(token)
        elif token in ("AND", "OR"):
            python.append(token.lower())
        elif token != "WITH" and (at == 0 or tokens[at - 1] != "WITH"):
            # An exception from a licence only gives more.
            python.append(str(FIT.fullmatch(token) is not None))
    # Of the words True, False, and, or, and of brackets alone.
    return bool(eval(" ".join(python)))


def licence(about: metadata.PackageMetadata) -> str:
    """A distribution's licence as an SPDX expression, or what it says in place of one."""
    given = about.get_all("License-Expression")
    if given:
        return str(given[0])
    said = {line for line in about.get_all("Classifier") or () if line.startswith("License")}
    said = said or set((about.get_all("License") or [""])[0].splitlines()[:1])
    return " AND ".join(sorted({OLD_NAMES.get(line, line) for line in said}))


def installed(project: dict[str, Any]) -> list[metadata.Distribution]:
    """What comes with the package and its extras, directly or not."""
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    wanted = [Requirement(line) for line in lines]
    seen: set[str] = set()
    found: dict[str, metadata.Distribution] = {}
    while wanted:
        requirement = wanted.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        one = found[requirement.name] = metadata.distribution(requirement.name)
        for needed in map(Requirement, one.requires or ()):
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                wanted.append(needed)
    return sorted(found.values(), key=lambda one: canonicalize_name(one.metadata["Name"]))


def licence_problems(distributions: list[metadata.Distribution]) -> list[str]:
    """Whose licence does not fit, or is not to be told."""
    problems = []
    for one in distributions:
        name, expression = one.metadata["Name"], licence(one.metadata)
        print(f"{name} {one.version}: {expression}")
        try:
            fits = is_fit(expression)
        except InvalidLicenseExpression:
            fits = False
        if not fits:
            problems.append(f"the licence of {name} is not known to be fit: {expression}")
    return problems


def text(path: str) -> str:
    """A file's text; nothing where there is no such file."""
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


def main(sdist: str, tag: str | None = None) -> None:
    """Print what was looked at; end with 1, and a line a problem, where there is any."""
    project = tomllib.loads(text("pyproject.toml"))["project"]
    version = project["version"]
    with tarfile.open(sdist) as archive:
        held = {one.name.partition("/")[2] for one in archive.getmembers() if one.isfile()}
    listed = subprocess.run(
        ["git", "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    problems = [
        *version_problems(version, text("src/groupstore/__init__.py"), text("CHANGELOG.md"), tag),
        *content_problems(held, set(listed.split("\0"))),
        *licence_problems(installed(project)),
    ]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{version} can be tagged")


if __name__ == "__main__":
    main(*sys.argv[1:])
