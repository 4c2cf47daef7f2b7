"""Plants violations of each kind in a small tree and sees whether the layering check finds them."""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.getcwd(), "tools", "lint"))
import layering  # pylint: disable=wrong-import-position

# A tree that breaks no rule: each layer uses itself and what stands to its right.
CLEAN = {
    "runtime/runtime.h": '#include "store/object_store.h"\n#include "serialization/codec.h"\n',
    "store/object_store.h": '#include <rocks>\n#include "spill/spill_backend.h"\n',
    "store/object_store.cc": '#include "store/internal/entry.h"\n',
    "spill/rocksdb_backend.cc": '#include "rocksdb/db.h"\n',
    "spill/internal/rocksdb_options.h": "#include <rocksdb/options.h>\n",
    "serialization/codec.h": '#include "absl/status/status.h"\n',
    "tests/store/object_store_test.cc": '#include "store/internal/entry.h"\n#include "rocksdb/db.h"\n',
    "store/BUILD": """
load("//tools/bazel:cc.bzl", "spillway_cc_library")
spillway_cc_library(
    name = "object_store",
    deps = [":entry", "//spill:spill_backend", "@system//:absl_status"],
    visibility = ["//runtime:__subpackages__", "//tests:__subpackages__"],
)
""",
    "spill/BUILD": 'cc_library(name = "rocksdb_backend", deps = ["@system//:rocksdb"])\n',
}


class LayeringCheckerTest(unittest.TestCase):
    def check(self, planted):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as root:
            for path, text in {**CLEAN, **planted}.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return layering.check(root)[0]

    def assert_caught(self, path, text, *parts):
        violations = self.check({path: text})
        self.assertEqual(len(violations), 1, violations)
        for part in (path, *parts):
            self.assertIn(part, violations[0])

    def test_clean_tree_has_no_violation(self):
        self.assertEqual(self.check({}), [])

    def test_every_arrow_against_the_flow_is_caught(self):
        for low, high in [
            ("serialization", "spill"),
            ("serialization", "store"),
            ("serialization", "runtime"),
            ("spill", "store"),
            ("spill", "runtime"),
            ("store", "runtime"),
        ]:
            with self.subTest(low=low, high=high):
                text = f'#include <vector>\n\n#include "{high}/thing.h"\n'
                self.assert_caught(f"{low}/planted.h", text, ":3:", f"{high}/thing.h")
                self.assert_caught(f"{low}/planted.cc", text, ":3:", f"{high}/thing.h")

    def test_nothing_sees_tests_benchmarks_and_tools(self):
        for folder in ("tests", "benchmarks", "tools"):
            with self.subTest(folder=folder):
                self.assert_caught("runtime/planted.cc", f'#include "{folder}/thing.h"\n', folder)

    def test_internal_headers_of_another_layer_are_caught(self):
        self.assert_caught("runtime/planted.cc", '#include "store/internal/entry.h"\n', "internal")

    def test_rocksdb_outside_its_backend_is_caught(self):
        for path in ("store/planted.cc", "runtime/planted.h", "spill/batch.cc"):
            with self.subTest(path=path):
                self.assert_caught(path, '#include "rocksdb/db.h"\n', "RocksDB")

    def test_angle_brackets_and_odd_spacing_do_not_hide_an_include(self):
        self.assert_caught("spill/planted.cc", "#  include  <store/object_store.h>\n", "store/")

    def test_relative_includes_are_caught(self):
        self.assert_caught("store/planted.cc", '#include "object_store.h"\n', "from the top")
        self.assert_caught("spill/planted.cc", '#include "../store/x.h"\n', "from the top")

    def test_included_schemas_are_caught(self):
        self.assert_caught("serialization/planted.fbs", 'include "store/x.fbs";\n', "store/x.fbs")

    def test_commented_includes_do_not_count(self):
        text = '// #include "store/x.h"\n/*\n#include "store/x.h"\n*/\n'
        self.assertEqual(self.check({"spill/planted.h": text}), [])

    def test_dependencies_against_the_flow_are_caught(self):
        for label in ("//store:object_store", "//tests/util:temp", "@spillway//runtime", "//tools/x"):
            with self.subTest(label=label):
                text = f'cc_library(name = "planted", deps = ["{label}"])\n'
                self.assert_caught("spill/internal/BUILD", text, ":1:", "planted")

    def test_dependencies_inside_select_and_loops_are_caught(self):
        text = '[cc_library(name = n, deps = select({"c": ["//store:x"]})) for n in ["a"]]\n'
        self.assert_caught("spill/internal/BUILD", text, "//store:x")

    def test_linking_rocksdb_elsewhere_is_caught(self):
        text = 'cc_library(name = "planted", deps = ["@system//:rocksdb"])\n'
        for path in ("runtime/BUILD", "store/internal/BUILD", "spill/internal/BUILD"):
            with self.subTest(path=path):
                self.assert_caught(path, text, "RocksDB")

    def test_an_unreadable_build_file_is_a_violation(self):
        self.assert_caught("runtime/BUILD", "cc_library(name = \n", "cannot be parsed")

    def test_an_empty_tree_is_no_success(self):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as root:
            self.assertEqual(layering.main(["layering.py", root]), 1)


if __name__ == "__main__":
    unittest.main()
