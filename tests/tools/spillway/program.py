"""Runs the spillway program in a directory of its own, and looks at what it leaves behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

# Set by main() from the command line.
SPILLWAY = None

# A run that takes longer hangs.
TIMEOUT_S = 60


class ProgramTest(unittest.TestCase):
  """A test with an empty working directory and a TMPDIR in it."""

  def setUp(self):
    self.directory = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
    self.addCleanup(self._clean_up)
    self.tmpdir = self.path("tmp")
    os.mkdir(self.tmpdir)

  def _clean_up(self):
    for folder, _, _ in os.walk(self.directory):
      os.chmod(folder, 0o700)
    shutil.rmtree(self.directory)

  def path(self, name):
    return os.path.join(self.directory, name)

  def write(self, name, data):
    with open(self.path(name), "wb") as file:
      file.write(data)
    return self.path(name)

  def read(self, name):
    with open(self.path(name), "rb") as file:
      return file.read()

  def environment(self):
    return dict(os.environ, TMPDIR=self.tmpdir, LC_ALL="C")

  def start(self, *arguments, **options):
    return subprocess.Popen([SPILLWAY, *arguments], cwd=self.directory, env=self.environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

  def run_spillway(self, *arguments, stdin=b"", **options):
    """Returns (exit code, stdout, stderr)."""
    done = subprocess.run([SPILLWAY, *arguments], cwd=self.directory, env=self.environment(),
                          input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False,
                          **options)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")

  def gnu_sort(self, *files, stdin=b""):
    return subprocess.run(["sort", "--", *files], cwd=self.directory, env=self.environment(),
                          input=stdin, capture_output=True, timeout=TIMEOUT_S, check=True).stdout

  def assert_only(self, *names):
    """The working directory holds these files alone, and TMPDIR is empty."""
    self.assertEqual(sorted(os.listdir(self.directory)), sorted([*names, "tmp"]))
    self.assertEqual(os.listdir(self.tmpdir), [])

  def wait_for(self, condition, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
      self.assertLess(time.monotonic(), deadline, f"waited in vain for {what}")
      time.sleep(0.01)


def end(process, signal_number=signal.SIGKILL):
  process.send_signal(signal_number)
  return process.communicate(timeout=TIMEOUT_S)


def main():
  global SPILLWAY
  SPILLWAY = os.path.abspath(sys.argv.pop(1))
  unittest.main(verbosity=2, module="__main__")
