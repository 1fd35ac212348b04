"""Builds the Cython kernels; everything else about the package is in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [Extension("edged.core._fastmrz", ["edged/core/_fastmrz.pyx"], extra_compile_args=["-O3"])],
        compiler_directives={"language_level": "3", "freethreading_compatible": True},
    )
)
