"""Builds the Cython kernels; everything else about the package is in pyproject.toml."""

from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = sorted(glob("edged/*.pyx") + glob("edged/core/*.pyx"))  # noqa: PTH207 - setuptools wants relative names

setup(
    ext_modules=cythonize(
        [
            Extension(
                path.removesuffix(".pyx").replace("/", "."),
                [path],
                depends=sorted(glob(path.replace(".pyx", "*.h"))),  # noqa: PTH207
                extra_compile_args=["-O3"],
                libraries=["m"],
            )
            for path in KERNELS
        ],
        compiler_directives={"language_level": "3", "freethreading_compatible": True},
    )
)
