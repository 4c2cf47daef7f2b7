"""What goes wrong from outside: one clear line on stderr, the right exit code, no leftovers."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # pylint: disable=wrong-import-position

MIB = 1 << 20
FAILURE = 1
USAGE = 2
NOBODY = 65534

# (arguments, what the line says). `in` is there, `out` is not.
USAGE_ERRORS = [
    ([], "which command?"),
    (["srot", "in"], "did you mean 'sort'?"),
    (["frobnicate"], "there is no command 'frobnicate'"),
    (["version", "now"], "spillway version: it takes no arguments"),
    (["help", "frobnicate"], "there is no command 'frobnicate'"),
    (["sort", "in"], "--output is missing"),
    (["sort", "--output=out"], "no input file"),
    (["sort", "--output=out", "--frobnicate=1", "in"], "unknown flag --frobnicate"),
    (["sort", "--output=out", "--memory_limits=32M", "in"], "did you mean --memory_limit?"),
    (["sort", "--output=out", "in", "--memory_limit"], "--memory_limit: a value is missing"),
    (["sort", "--output=out", "--memory_limit=", "in"], "--memory_limit: the size is empty"),
    (["sort", "--output=out", "--memory_limit=lots", "in"], "--memory_limit: 'lots' is not a size"),
    (["sort", "--output=out", "--memory_limit=nan", "in"], "--memory_limit: 'nan' is not a size"),
    (["sort", "--output=out", "--memory_limit=-32M", "in"], "--memory_limit: '-32M' is negative"),
    (["sort", "--output=out", "--memory_limit=1K", "in"],
     "--memory_limit: '1K' is too small; it may be from 16 MiB"),
    (["sort", "--output=out", "--memory_limit=900P", "in"], "--memory_limit: '900P' is too large"),
    (["sort", "--output=out", "--memory_limit=99999999999999999999G", "in"],
     "it does not fit in 64 bits"),
    (["sort", "--output=out", "--memory_limit=150%", "in"],
     "--memory_limit: '150%' is out of range"),
    (["sort", "--output=out", "--memory_limit=1\n2", "in"],
     "--memory_limit: '1\\n2' is not a size"),
    (["sort", "--output=out", "--spill_limit=20%", "in"], "--spill_limit: '20%' is a percentage"),
    (["sort", "--output=out", "--high_watermark=0.5", "--low_watermark=0.6", "in"],
     "--low_watermark: 0.6 must be below --high_watermark, which is 0.5"),
    (["sort", "--output=out", "--high_watermark=nan", "in"], "--high_watermark: nan is no share"),
    (["sort", "--output=out", "--high_watermark=high", "in"],
     "--high_watermark: 'high' is not a number"),
    (["sort", "--output=out", "--low_watermark=-1", "in"], "--low_watermark: -1 is no share"),
    (["sort", "--output=out", "--eviction_policy=magic", "in"],
     "--eviction_policy: 'magic' is no eviction policy"),
    (["sort", "--output=out", "--threads=-1", "in"], "--threads: '-1' is not a whole number"),
    (["sort", "--output=out", "--threads=100000", "in"], "--threads: 100000 is too many"),
    (["sort", "--output=out", "--progress=dance", "in"],
     "--progress: 'dance' is none of auto, bar, lines, none"),
]


def drop_privileges():
  os.setgroups([])
  os.setgid(NOBODY)
  os.setuid(NOBODY)


class BadInputTest(program.ProgramTest):

  def assert_error(self, arguments, code, message, **options):
    """The run fails in one line that contains `message`."""
    found, out, err = self.run_spillway(*arguments, **options)
    self.assertEqual((found, out), (code, b""), err)
    self.assertEqual(err.count("\n"), 1, err)
    self.assertTrue(err.startswith("spillway") and err.endswith("\n"), err)
    self.assertIn(message, err)

  def test_mistakes_on_the_command_line(self):
    self.write("in", b"b\na\n")
    for arguments, message in USAGE_ERRORS:
      with self.subTest(arguments):
        self.assert_error(arguments, USAGE, message)
        self.assert_only("in")

  def test_missing_input(self):
    self.write("in", b"b\n")
    self.assert_error(["sort", "--output=out", "in", "no/such"], FAILURE,
                      "cannot read 'no/such': No such file or directory")
    self.assert_error(["sort", "--output=out", "."], FAILURE, "cannot read '.': Is a directory")
    self.assert_error(["sort", "--output=out", "in", "/proc/self/mem"], FAILURE,
                      "cannot read '/proc/self/mem': Input/output error")
    self.assert_only("in")

  def test_unreadable_input(self):
    self.write("in", b"b\n")
    os.chmod(self.path("in"), 0)
    options = {}
    if os.geteuid() == 0:
      for folder in (self.directory, self.tmpdir):
        os.chmod(folder, 0o777)
      try:
        subprocess.run([program.SPILLWAY, "version"], preexec_fn=drop_privileges,
                       stdout=subprocess.DEVNULL, cwd=self.directory, check=True)
      except (OSError, subprocess.SubprocessError) as error:
        self.skipTest(f"this superuser cannot become somebody else here: {error}")
      options = {"preexec_fn": drop_privileges}
    self.assert_error(["sort", "--output=out", "in"], FAILURE,
                      "cannot read 'in': Permission denied", **options)
    self.assert_only("in")

  def test_an_output_that_cannot_be_written(self):
    self.write("in", b"b\n")
    self.assert_error(["sort", "--output=no/such/out", "in"], FAILURE,
                      "cannot write 'no/such/out': No such file")
    self.assert_error(["sort", "--output=.", "in"], FAILURE, "cannot write '.': Is a directory")
    self.assert_error(["sort", "--output=in/out", "in"], FAILURE,
                      "cannot write 'in/out': Not a directory")
    self.assert_only("in")

  def test_a_full_output_device(self):
    self.write("in", b"b\na\n" * MIB)
    self.assert_error(["sort", "--output=/dev/full", "in"], FAILURE,
                      "cannot write '/dev/full': No space left on device")
    self.assert_only("in")

  def test_a_reader_that_goes_away(self):
    self.write("in", b"b\na\n" * MIB)
    process = self.start("sort", "--output=-", "in")
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    self.assertEqual(process.wait(), FAILURE)
    self.assertEqual(err, "spillway sort: cannot write 'standard output': Broken pipe\n")
    self.assert_only("in")

  def test_a_spill_directory_that_is_none(self):
    self.write("in", b"b\n")
    self.write("file", b"text")
    for directory in ("file", "file/below", "/proc/spill"):
      with self.subTest(directory):
        self.assert_error(["sort", f"--spill_dir={directory}", "--output=out", "in"], FAILURE,
                          directory)
        self.assert_only("file", "in")

  def test_a_spill_directory_that_holds_something_else(self):
    self.write("in", b"b\n")
    os.mkdir(self.path("photos"))
    self.write("photos/cat.jpg", b"meow")
    self.assert_error(["sort", "--spill_dir=photos", "--output=out", "in"], FAILURE, "photos")
    self.assertEqual(os.listdir(self.path("photos")), ["cat.jpg"])
    self.assert_only("in", "photos")

  def test_a_spill_directory_in_use_names_its_user(self):
    self.write("in", b"b\n")
    holder = self.start("sort", "--spill_dir=spill", "--output=out1", "-", stdin=subprocess.PIPE)
    spill = self.path("spill")
    self.wait_for(lambda: os.path.isdir(spill) and os.listdir(spill), "the directory")
    # It may take a moment longer until the holder has said who it is.
    arguments = ["sort", "--spill_dir=spill", "--output=out2", "in"]
    self.wait_for(lambda: str(holder.pid) in self.run_spillway(*arguments)[2], "its name")
    self.assert_error(arguments, FAILURE, str(holder.pid))
    holder.communicate(input=b"z\ny\n", timeout=program.TIMEOUT_S)
    self.assertEqual(holder.returncode, 0)
    self.assertEqual(self.read("out1"), b"y\nz\n")
    self.assert_only("in", "out1")

  def test_a_line_that_is_too_long(self):
    self.write("in", b"short\n" * 1000 + b"x" * (40 * MIB) + b"\nshort\n")
    self.write("out", b"old")
    self.assert_error(["sort", "--memory_limit=32MiB", "--output=out", "in"], FAILURE,
                      "of the input is longer than")
    self.assert_only("in", "out")
    self.assertEqual(self.read("out"), b"old")

  def test_a_spill_limit_that_is_too_low(self):
    self.write("in", b"".join(b"%09d\n" % (i * 7919 % 9999991) for i in range(9000000)))
    self.assert_error(["sort", "--memory_limit=16MiB", "--spill_limit=20MiB",
                       "--wait_for_room_seconds=1", "--output=out", "in"],
                      FAILURE, "the spill limit of 20971520 bytes is reached")
    self.assert_only("in")

  def on_small_disk(self, mib, command):
    """Runs a shell command where ./disk is a file system of `mib` MiB; skips the test elsewhere."""
    os.mkdir(self.path("disk"))
    mount = f"mount -t tmpfs -o size={mib}m tmpfs disk"
    unshare = ["unshare", "--mount"]
    if os.geteuid() != 0:
      unshare.append("--map-root-user")
    allowed = subprocess.run([*unshare, "sh", "-c", mount], cwd=self.directory, capture_output=True,
                             check=False)
    if allowed.returncode != 0:
      self.skipTest(f"cannot mount a small disk here: {allowed.stderr.decode().strip()}")
    script = f"{mount} && {command}; code=$?; ls -A disk; exit $code"
    return subprocess.run([*unshare, "sh", "-c", script, "sh", program.SPILLWAY],
                          cwd=self.directory, env=self.environment(), capture_output=True,
                          timeout=program.TIMEOUT_S, check=False)

  def test_an_output_on_a_full_disk(self):
    self.write("in", b"".join(b"%09d\n" % i for i in range(1000000)))
    done = self.on_small_disk(4, '"$1" sort --output=disk/out in')
    self.assertEqual(done.returncode, FAILURE)
    self.assertEqual(done.stderr.decode(),
                     "spillway sort: cannot write 'disk/out': No space left on device\n")
    self.assertEqual(done.stdout, b"")  # nothing left on the disk

  def test_spilling_to_a_full_disk(self):
    self.write("in", b"".join(b"%09d\n" % (i * 7919 % 9999991) for i in range(9000000)))
    done = self.on_small_disk(24, '"$1" sort --memory_limit=16MiB --wait_for_room_seconds=1 '
                                  '--spill_dir=disk --output=out in')
    self.assertEqual(done.returncode, FAILURE)
    self.assertRegex(done.stderr.decode(), r"\Aspillway sort: .*the disk is full.*\n\Z")
    self.assertEqual(done.stdout, b"")
    self.assert_only("disk", "in")


class HelpTest(program.ProgramTest):

  def test_help_and_version(self):
    code, out, err = self.run_spillway("version")
    self.assertEqual((code, err), (0, ""))
    self.assertRegex(out.decode(), r"\Aspillway \d+\.\d+\.\d+\n\Z")
    self.assertEqual(self.run_spillway("--version")[1], out)
    for arguments in (["help"], ["--help"], ["-h"]):
      code, out, err = self.run_spillway(*arguments)
      self.assertEqual((code, err), (0, ""))
      self.assertIn(b"sort", out)
    for arguments in (["help", "sort"], ["sort", "--help"], ["sort", "-h", "--output=x"]):
      code, out, err = self.run_spillway(*arguments)
      self.assertEqual((code, err), (0, ""))
      for flag in (b"--output", b"--memory_limit", b"--spill_dir", b"--eviction_policy"):
        self.assertIn(flag, out)

  def test_a_closed_standard_output_is_an_error(self):
    with open("/dev/full", "wb") as full:
      done = subprocess.run([program.SPILLWAY, "help"], stdout=full, stderr=subprocess.PIPE,
                            check=False)
    self.assertEqual(done.returncode, FAILURE)
    self.assertEqual(done.stderr.count(b"\n"), 1)


if __name__ == "__main__":
  program.main()
