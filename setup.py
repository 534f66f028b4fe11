"""Build the compiled modules: every src/groupstore/engine/*.pyx is one."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ENGINE = Path("src/groupstore/engine")

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

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["src"],
        # Generated C stays out of src, and so out of the sdist and the wheel.
        build_dir="build/cython",
        nthreads=0 if sys.platform == "win32" else (os.cpu_count() or 1),
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
)
