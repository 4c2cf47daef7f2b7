"""Fuzz targets: run for long by libFuzzer, and replayed for a moment by every test run."""

load("//tools/bazel:cc.bzl", "spillway_cc_binary", "spillway_cc_test")

def spillway_fuzz_test(name, srcs, replay, deps = [], corpus = [], tags = [], **kwargs):
    """A fuzz target and the test that replays its corpus.

    Two targets come out:
      name           a test: `replay`, which has a main() or test cases, runs LLVMFuzzerTestOneInput over
                     the corpus and what else it thinks of;
      name_libfuzzer the libFuzzer program. Only `--config=fuzz` can link it, so that //... leaves it
                     out. `tools/dev fuzz` builds and runs them.

    Args:
      name: ends in _fuzz_test.
      srcs: define LLVMFuzzerTestOneInput.
      replay: a library for the test; not linked into the libFuzzer program.
      deps: what srcs include.
      corpus: seed inputs, data of the test.
      tags: of the test.
      **kwargs: handed on to the test.
    """
    spillway_cc_test(
        name = name,
        srcs = srcs,
        data = corpus,
        tags = tags,
        deps = deps + [replay],
        **kwargs
    )
    spillway_cc_binary(
        name = name + "_libfuzzer",
        testonly = True,
        srcs = srcs,
        tags = ["manual"],
        deps = deps,
    )
