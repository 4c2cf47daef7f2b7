"""`spillway sort` against GNU sort: the same bytes for every kind of input, within its memory."""

import os
import random
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # pylint: disable=wrong-import-position

MIB = 1 << 20


def words(seed, size):
  """About `size` bytes of lines that look like text."""
  generator = random.Random(seed)
  vocabulary = [bytes(generator.choices(b"abcdefghijklmnopqrstuvwxyz", k=generator.randint(1, 10)))
                for _ in range(2000)]
  # Lines that are shuffled again and again: quick to make, and with duplicates as text has them.
  lines = [b" " * generator.choice((0, 0, 0, 2, 4, 8)) +
           b" ".join(generator.choices(vocabulary, k=generator.randint(0, 12)))
           for _ in range(20000)]
  out = []
  length = 0
  while length < size:
    tail = generator.choice(vocabulary)
    generator.shuffle(lines)
    out.append(b"".join(line + tail + b"\n" for line in lines))
    length += len(out[-1])
  return b"".join(out)[:size]


def any_bytes(seed, size):
  return random.Random(seed).randbytes(size)


SMALL_INPUTS = {
    "nothing": b"",
    "one newline": b"\n",
    "one line without newline": b"alone",
    "only newlines": b"\n" * 300000,
    "no newline at the end": b"b\na\nc",
    "empty lines between": b"\nb\n\na\n\n",
    "NUL bytes": b"a\0b\na\0\na\n\0\n\0\0\n\na\0a\n" * 50,
    "bytes above 127": b"\xff\n\x80\n\x7f\n\x00\n\xc3\xa4\na\n" * 10,
    "carriage returns": b"b\r\na\r\n\r\n",
    "all bytes": any_bytes(1, 300000),
    "many duplicates": b"same\nother\n" * 100000,
    "common prefixes": b"".join(b"prefix" * 20 + b"%d\n" % (i * 7919 % 10007)
                                for i in range(10007)),
    "sorted": b"".join(b"%09d\n" % i for i in range(100000)),
    "reversed": b"".join(b"%09d\n" % i for i in range(100000, 0, -1)),
    "text": words(2, 3 * MIB),
    "two long lines": b"y" * (2 * MIB) + b"\n" + b"x" * (2 * MIB + 5) + b"\n",
    "long lines alike": (b"z" * (MIB + 7) + b"1\n" + b"z" * (MIB + 7) + b"0\n") * 6,
    "a long line without newline": b"short\n" + b"q" * (2 * MIB),
    "long and short lines": b"".join(b"l" * (i * 40009 % (MIB + 100000)) + b"\n"
                                     for i in range(40)),
}


class SortTest(program.ProgramTest):

  def sort(self, *files, limit="32MiB", stdin=b"", flags=()):
    code, out, err = self.run_spillway("sort", f"--memory_limit={limit}", "--output=out", *flags,
                                       *files, stdin=stdin)
    self.assertEqual((code, out), (0, b""), err)
    return err

  def assert_sorted(self, *files, stdin=b"", **options):
    err = self.sort(*files, stdin=stdin, **options)
    # Not assertEqual: it would show both.
    same = self.read("out") == self.gnu_sort(*files, stdin=stdin)
    self.assertTrue(same, f"differs from GNU sort: {files}")
    return err

  def test_edge_inputs_come_out_as_from_gnu_sort(self):
    for name, data in SMALL_INPUTS.items():
      with self.subTest(name):
        self.write("in", data)
        self.assert_sorted("in")
        self.assert_only("in", "out")

  def test_the_least_memory_will_do(self):
    self.write("in", words(3, 40 * MIB) + any_bytes(3, 4 * MIB))
    self.assert_sorted("in", limit="16MiB")
    self.assert_sorted("in", limit="16MiB", flags=["--threads=1"])
    self.assert_sorted("in", limit="16MiB", flags=["--threads=8"])

  def test_many_long_lines_take_several_merges(self):
    generator = random.Random(4)
    lengths = [generator.randint(1, 3 * MIB) for _ in range(60)]
    self.write("in", b"".join(b"p" * length + b"%d\n" % generator.randint(0, 99)
                              for length in lengths))
    self.assert_sorted("in")

  def test_several_files_and_standard_input(self):
    self.write("a", b"b\na")
    self.write("b", b"")
    self.write("c", b"\nd\nc\n")
    self.assert_sorted("a", "b", "c", "a")
    self.assert_sorted("a", "-", "c", stdin=b"standard\ninput")
    self.assert_sorted("-", stdin=words(5, 9 * MIB) + b"x" * (2 * MIB))

  def test_a_pipe_that_trickles(self):
    process = self.start("sort", "--output=out", "-", stdin=subprocess.PIPE)
    for part in (b"b", b"", b"b\na", b"a\n", b"c"):
      process.stdin.write(part)
      process.stdin.flush()
    process.communicate(timeout=program.TIMEOUT_S)
    self.assertEqual(self.read("out"), b"aa\nbb\nc\n")

  def test_the_output_may_be_an_input(self):
    data = words(6, 2 * MIB)
    self.write("out", data)
    self.sort("out")
    self.assertEqual(self.read("out"), self.gnu_sort("-", stdin=data))
    self.assert_only("out")

  def test_the_output_may_be_standard_output(self):
    data = words(7, 2 * MIB)
    self.write("in", data)
    code, out, err = self.run_spillway("sort", "--output=-", "in")
    self.assertEqual(code, 0, err)
    self.assertEqual(out, self.gnu_sort("in"))

  def test_a_spill_directory_is_left_as_it_was_found(self):
    self.write("in", words(8, 40 * MIB))
    os.mkdir(self.path("spill"))
    self.assert_sorted("in", flags=["--spill_dir=spill"])
    self.assertEqual(os.listdir(self.path("spill")), [])
    self.assert_sorted("in", flags=["--spill_dir=new"])
    self.assertFalse(os.path.exists(self.path("new")))

  def something_is_spilled(self):
    return any(name.endswith(".sst") for _, _, names in os.walk(self.tmpdir) for name in names)

  def test_a_signal_ends_it_without_leftovers(self):
    self.write("in", words(9, 100 * MIB))
    self.write("out", b"old")
    for number in (signal.SIGINT, signal.SIGTERM):
      process = self.start("sort", "--memory_limit=16MiB", "--output=out", "in")
      # In the middle of it: there is something on disk.
      self.wait_for(self.something_is_spilled, "something spilled")
      _, err = program.end(process, number)
      self.assertEqual(process.returncode, -number)
      self.assertEqual(err.decode(), f"spillway sort: interrupted by {number.name}\n")
      self.assert_only("in", "out")
      self.assertEqual(self.read("out"), b"old")

  def test_a_signal_ends_it_while_it_waits_for_input(self):
    process = self.start("sort", "--output=out", "-", stdin=subprocess.PIPE)
    self.wait_for(lambda: os.listdir(self.tmpdir), "a spill directory")
    program.end(process, signal.SIGTERM)
    self.assertEqual(process.returncode, -signal.SIGTERM)
    self.assert_only()

  def test_the_summary_tells_what_was_done(self):
    self.write("in", words(10, 64 * MIB))
    err = self.sort("in")
    lines = self.read("out").count(b"\n")
    self.assertRegex(err, rf"sorted +64 MiB, {lines} lines, of 1 file\n")
    self.assertRegex(err, r"objects +\d+ put \(64 MiB\), [\d.]+ MiB spilled, [\d.]+ MiB restored")
    self.assertRegex(err, r"disk +[\d.]+ MiB at the peak")
    self.assertRegex(err, r"memory +limit 32 MiB, store [\d.]+ MiB at the peak; "
                          r"process [\d.]+ MiB at the peak, [\d.]+ MiB idle")
    self.assertRegex(err, r"time +[\d.]+ s")

  def test_a_terminal_gets_a_bar_and_a_log_gets_lines(self):
    self.write("in", words(11, 48 * MIB))
    err = self.sort("in", limit="16MiB", flags=["--progress=bar"])
    self.assertRegex(err, r"\r\x1b\[K(reading|writing) +\d+%.*memory [\d.]+ MiB of 16 MiB")
    self.assertNotIn("\x1b", self.sort("in"))


class LargeSortTest(program.ProgramTest):
  """Text of ten times the memory, within the memory that is allowed."""

  LIMIT_MIB = 32
  TEXT_MIB = 300

  def peak_resident_bytes(self, *arguments):
    """Runs the program; its own word is not taken for it."""
    process = subprocess.Popen([program.SPILLWAY, *arguments], cwd=self.directory,
                               env=self.environment(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    err = process.stderr.read().decode()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    self.assertEqual(process.returncode, 0, err)
    return usage.ru_maxrss * 1024, err

  def test_300_mib_at_32_mib_of_memory(self):
    self.write("in", words(12, self.TEXT_MIB * MIB))
    idle, _ = self.peak_resident_bytes("version")
    peak, err = self.peak_resident_bytes("sort", f"--memory_limit={self.LIMIT_MIB}MiB",
                                         "--output=out", "in")
    print(err, file=sys.stderr)
    bound = idle + self.LIMIT_MIB * MIB * 1.05 + 32 * MIB
    self.assertLess(peak, bound, f"{peak / MIB:.1f} MiB resident, {bound / MIB:.1f} MiB allowed")
    spilled = float(re.search(r"([\d.]+) MiB spilled", err).group(1))
    self.assertGreater(spilled, self.TEXT_MIB - 2 * self.LIMIT_MIB)
    subprocess.run(["sort", "-S", "256M", "-o", "expected", "in"], cwd=self.directory,
                   env=self.environment(), check=True)
    subprocess.run(["cmp", "out", "expected"], cwd=self.directory, check=True)


if __name__ == "__main__":
  program.main()
