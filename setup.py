"""Builds the Cython kernels; everything else about the package is in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup


def kernel(name: str, *headers: str) -> Extension:
    return Extension(
        f"edged.core.{name}",
        [f"edged/core/{name}.pyx"],
        depends=[f"edged/core/{header}" for header in headers],
        extra_compile_args=["-O3"],
        libraries=["m"],
    )


setup(
    ext_modules=cythonize(
        [kernel("_fastmrz"), kernel("_fastgrid"), kernel("_fastnet", "_fastnet.h", "_fastnet_isa.h")],
        compiler_directives={"language_level": "3", "freethreading_compatible": True},
    )
)
