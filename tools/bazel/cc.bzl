"""The C++ rules of this tree: the native ones with our warnings, as errors, and our defaults.

Use these instead of cc_library and friends. Warning flags stand here and not in .bazelrc, so that they
apply to our code alone; the language level and the optimisation do stand in .bazelrc, because they must
be the same for everything that is linked together.
"""

# Understood by both g++ 12 and clang 14.
_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wcast-qual",
    "-Wextra-semi",
    "-Wimplicit-fallthrough",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wshadow",
    "-Wundef",
    "-Wvla",
    "-Wwrite-strings",
]

def spillway_cc_library(name, copts = [], **kwargs):
    """A cc_library with our warnings as errors; private unless `visibility` says otherwise."""
    native.cc_library(
        name = name,
        copts = _WARNINGS + copts,
        **kwargs
    )

def spillway_cc_binary(name, copts = [], **kwargs):
    """A cc_binary with our warnings as errors."""
    native.cc_binary(
        name = name,
        copts = _WARNINGS + copts,
        **kwargs
    )

def spillway_cc_test(name, copts = [], deps = [], size = "small", with_main = True, **kwargs):
    """A GoogleTest: links gtest, gmock and their main().

    `size` is small (a minute) unless said otherwise. Tag a test `sanitize` to have `tools/dev test` run
    it under the address, undefined-behaviour and thread sanitizers too.

    Args:
      name: the test's name, x_test for a unit x.
      copts: more compiler options.
      deps: what the test includes, other than gtest and gmock.
      size: as for any Bazel test; sets the timeout.
      with_main: False for a test that brings a main() of its own.
      **kwargs: handed on to cc_test.
    """
    native.cc_test(
        name = name,
        size = size,
        copts = _WARNINGS + copts,
        deps = deps + ["@system//:gtest_main" if with_main else "@system//:gmock"],
        **kwargs
    )

def spillway_cc_benchmark(name, copts = [], tags = [], **kwargs):
    """A program that measures; run it through `tools/dev bench`. The name ends in _benchmark."""
    if not name.endswith("_benchmark"):
        fail("%s: a benchmark's name ends in _benchmark, tools/dev finds it by that" % name)
    native.cc_binary(
        name = name,
        copts = _WARNINGS + copts,
        tags = tags + ["benchmark"],
        **kwargs
    )
