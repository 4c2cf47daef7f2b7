"""The documents of serialization/ are right: programs print what stands there, errors are those shown.

Arguments: the README, the FORMAT document, then for each program in the README, in order, its binary.
"""

import glob
import os
import re
import subprocess
import sys
import tempfile
import unittest

README, FORMAT, *PROGRAMS = [os.path.abspath(path) for path in sys.argv[1:]]
del sys.argv[1:]


def read(path):
  with open(path, encoding="utf-8") as file:
    return file.read()


def blocks():
  """Pairs of a C++ block and the block after it: (code, kind, content)."""
  fenced = re.findall(r"^```(\w+)\n(.*?)^```$", read(README), re.DOTALL | re.MULTILINE)
  for (kind, code), (next_kind, content) in zip(fenced, fenced[1:] + [("", "")]):
    if kind == "cpp":
      yield code, next_kind, content


def compile_only(code):
  with tempfile.NamedTemporaryFile("w", suffix=".cc", dir=os.environ.get("TEST_TMPDIR")) as source:
    source.write(code)
    source.flush()
    return subprocess.run(["/usr/bin/g++", "-std=c++20", "-fsyntax-only", "-I.", source.name], capture_output=True,
                          text=True, check=False)


class ReadmeTest(unittest.TestCase):

  def test_programs_print_what_is_shown(self):
    shown = [content for code, kind, content in blocks() if "int main()" in code]
    self.assertEqual(len(shown), len(PROGRAMS))
    for program, output in zip(PROGRAMS, shown):
      done = subprocess.run([program], capture_output=True, text=True, check=True)
      self.assertEqual(done.stdout, output)

  def test_other_snippets_compile_or_fail_as_shown(self):
    checked = 0
    for code, kind, content in blocks():
      if "int main()" in code:
        continue
      done = compile_only(code)
      if kind == "error":
        self.assertNotEqual(done.returncode, 0, code)
        self.assertIn(content.strip(), done.stderr)
      else:
        self.assertEqual(done.returncode, 0, done.stderr)
      checked += 1
    self.assertGreaterEqual(checked, 6)

  def test_the_tests_of_bad_input_exist(self):
    there = set()
    for path in glob.glob("tests/s*/**/*_test.cc", recursive=True):
      there.update(".".join(pair) for pair in re.findall(
          r"^(?:TYPED_)?TEST(?:_F|_P)?\((\w+), (\w+)\)", read(path), re.MULTILINE))
    rows = read(README).split("## Bad input")[1].split("\n## ")[0]
    named = re.findall(r"`(\w+Test\.\w+)`", rows)
    self.assertGreater(len(named), 30)
    self.assertEqual([name for name in named if name not in there], [])

  def test_files_exist(self):
    folder = os.path.dirname(README)
    for path in re.findall(r"\]\(([^)#:]+)\)", read(README)):
      self.assertTrue(os.path.exists(os.path.join(folder, path)), path)
    table = read(README).split("## Where things are")[1]
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
      for name in re.findall(r"`([^`*]+)`", row):
        self.assertTrue(os.path.exists(os.path.join(folder, name)), name)


if __name__ == "__main__":
  unittest.main(verbosity=2)
