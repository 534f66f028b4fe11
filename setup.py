"""Build the compiled modules: every src/groupstore/engine/*.pyx is one."""

import os
import re
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ENGINE = Path("src/groupstore/engine")
# A package's page on PyPI stands beside no other file: what would lead to one is text there.
PAGE = re.sub(
    r"(!?)\[([^\]]*)\]\((?!https?://)[^)]*\)",
    lambda link: "" if link[1] else link[2],
    Path("README.md").read_text(encoding="utf-8"),
)
JOBS = os.cpu_count() or 1

extensions = [
    Extension(
        f"groupstore.engine.{source.stem}",
        [str(source)],
        include_dirs=[str(ENGINE)],
        # Without debugging information, which is most of a wheel otherwise.
        extra_compile_args=[] if sys.platform == "win32" else ["-O2", "-g0"],
    )
    for source in sorted(ENGINE.glob("*.pyx"))
]

# Where processes are spawned, cythonize's workers import this file again.
if __name__ == "__main__":
    setup(
        long_description=PAGE,
        long_description_content_type="text/markdown",
        ext_modules=cythonize(
            extensions,
            include_path=["src"],
            # Generated C stays out of src, and so out of the sdist and the wheel.
            build_dir="build/cython",
            nthreads=JOBS,
            annotate=os.environ.get("GROUPSTORE_ANNOTATE") == "1",
            compiler_directives={
                "language_level": "3",
                "boundscheck": False,
                "wraparound": False,
                "cdivision": True,
                "auto_pickle": False,
                "autotestdict": False,
                "freethreading_compatible": True,
            },
        ),
        options={"build_ext": {"parallel": JOBS}},
    )
