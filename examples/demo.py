"""Load the metadata of every installed distribution into a store, and read it back.

A group a distribution, its headers as keys; a tenant's copy under a quota; some keys that expire.
Prints what it did with sizes and rates, then reopens the file and shows that all is there.
"""

import subprocess
import sys
import tempfile
import time
from importlib.metadata import Distribution, distributions
from pathlib import Path

import groupstore

SEEN = "last seen"
"""A group that expires; no distribution has a name with a space."""


class Clock:
    """Seconds between a `with` block's beginning and its end."""

    def __enter__(self) -> "Clock":
        self.begin = time.perf_counter()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = time.perf_counter() - self.begin

    def rate(self, number: int) -> str:
        return f"{number:,} in {self.seconds * 1000:,.1f} ms ({number / self.seconds:,.0f}/s)"


def installed() -> dict[str, dict[str, str]]:
    """The headers of every distribution on the machine, by its name.

    Those of this environment, and those of the interpreter that the environment was made with.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    command = [base, "-c", "import sys; print(*sys.path[1:], sep='\\n')"]
    base_path = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    packages: dict[str, dict[str, str]] = {}
    for distribution in distributions(path=[*sys.path, *base_path.splitlines()]):
        if name := distribution.metadata["Name"]:
            packages.setdefault(name, headers(distribution))
    return packages


def headers(distribution: Distribution) -> dict[str, str]:
    """The metadata of one distribution; a header that comes several times is joined by lines."""
    metadata = distribution.metadata
    return {name: "\n".join(metadata.get_all(name) or []) for name in dict.fromkeys(metadata)}


def load(store: groupstore.Store, packages: dict[str, dict[str, str]]) -> int:
    entries = 0
    with Clock() as clock:
        for name, fields in packages.items():
            store.set_many(name, fields)
            entries += len(fields)
        store.set_many(SEEN, dict.fromkeys(packages, "just now"), ttl=3600)
    print(f"wrote      {clock.rate(entries + len(packages))}, a commit a group")
    return entries + len(packages)


def read_back(store: groupstore.Store, packages: dict[str, dict[str, str]]) -> None:
    with Clock() as clock:
        for name, fields in packages.items():
            for key, value in fields.items():
                if store.get(name, key) != value:
                    sys.exit(f"{name}/{key} came back different")
    print(f"get        {clock.rate(sum(map(len, packages.values())))}")
    with Clock() as clock:
        for name, fields in packages.items():
            if store.get_all(name) != fields or dict(store.group(name)) != fields:
                sys.exit(f"{name} came back different")
    print(f"get_all    {clock.rate(len(packages))} groups, and each as a mapping")


def tenant(store: groupstore.Store, packages: dict[str, dict[str, str]]) -> None:
    quota = groupstore.Quota(max_keys=max(1, len(packages) // 2))
    scope = store.scoped("tenant-42", quota)
    versions = {name: fields.get("Version", "") for name, fields in packages.items()}
    try:
        for name, version in versions.items():
            scope.set("versions", name, version)
    except groupstore.QuotaExceededError as error:
        print(f"tenant     stopped at its quota: {error}")
    print(f"tenant     holds {scope.count_all()} keys in {scope.groups()}")


def main() -> None:
    packages = installed()
    if not packages:
        sys.exit("no distribution is installed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "packages.db")
        print(f"file       {path}: the metadata of {len(packages)} distributions")
        with groupstore.Store(path, durability="normal") as store:
            watcher = store.watch(SEEN, capacity=len(packages))
            written = load(store, packages)
            read_back(store, packages)
            tenant(store, packages)
            key = next(iter(packages))
            print(f"expiry     {SEEN}/{key} expires in {store.ttl(SEEN, key):,.1f} s")
            print(f"events     {len(watcher)} seen of group {SEEN!r}, {watcher.dropped} dropped")
            rows = store.stats().rows
        size = path.stat().st_size
        print(f"closed     {rows:,} rows, {size:,} bytes, {size / rows:,.0f} a row")
        with groupstore.Store(path) as store:
            read_back(store, packages)
            if store.count_all() != rows or rows < written:
                sys.exit(f"{rows} rows were written, {store.count_all()} are there")
            template = "{{ .Name }} {{ .Version }}"
            print(f"template   {store.render(template, next(iter(packages)))}")
            print(f"reopened   all {store.count_all():,} keys in {len(store.groups())} groups")


if __name__ == "__main__":
    main()
