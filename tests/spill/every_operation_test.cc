// Every operation on the file system in turn fails, or is the last before a kill -9, in a run of
// everything that changes a spill directory. Afterwards every acknowledged durable object is there
// bit for bit, nothing else is affected, and no space leaks.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "serialization/mutex.h"
#include "spill/rocksdb/backend_impl.h"
#include "tests/spill/durable_scenario.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

using ::spillway::internal::FileOperationHook;
using ::spillway::internal::RocksDbBackend;
using ::spillway::testing::ExpectNoSpaceLeak;
using ::spillway::testing::Scenario;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;

constexpr int64_t kReclaimMillis = 20000;

absl::StatusOr<std::unique_ptr<SpillBackend>> Open(const std::string& directory,
                                                   FileOperationHook hook = nullptr) {
  RocksDbBackendOptions options = SmallRocksDbOptions(directory);
  options.max_batch_bytes = 256 << 10;  // batches may be relocated soon
  options.recovery = SpillRecovery::kKeep;
  return RocksDbBackend::Open(options, std::move(hook));
}

// Opens the directory without faults and judges.
void Judge(const std::string& directory, Scenario* scenario, bool worked_again) {
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = Open(directory);
  ASSERT_TRUE(backend.ok()) << backend.status();
  scenario->ExpectAfterRecovery(backend->get(), worked_again);
  EXPECT_TRUE((*backend)->WaitForReclaim(kReclaimMillis));
  ExpectNoSpaceLeak(directory, backend->get());
}

// --- Faults

// Fails the nth operation, or all from the nth on.
class Fault {
 public:
  Fault(uint64_t nth, rocksdb::IOStatus status, bool persists)
      : countdown_(nth), status_(std::move(status)), persists_(persists) {}

  rocksdb::IOStatus Ask(const char* operation, const std::string& path) {
    MutexLock lock(&mutex_);
    if (countdown_ == 0 || --countdown_ > 0) return rocksdb::IOStatus::OK();
    if (persists_) countdown_ = 1;
    if (where_.empty()) where_ = absl::StrCat(operation, " of ", path);
    return status_;
  }
  // No more errors.
  void End() {
    MutexLock lock(&mutex_);
    countdown_ = 0;
  }
  // What failed first; empty if it did not come to that.
  std::string where() const {
    MutexLock lock(&mutex_);
    return where_;
  }

 private:
  mutable Mutex mutex_;
  uint64_t countdown_ ABSL_GUARDED_BY(mutex_);
  const rocksdb::IOStatus status_;
  const bool persists_;
  std::string where_ ABSL_GUARDED_BY(mutex_);
};

struct Kind {
  const char* name;
  rocksdb::IOStatus status;
  bool persists;
};

std::vector<Kind> Kinds() {
  const rocksdb::IOStatus full = rocksdb::IOStatus::NoSpace("planted", "No space left on device");
  const rocksdb::IOStatus error = rocksdb::IOStatus::IOError("planted", "Input/output error");
  return {{"full_disk_once", full, false},
          {"full_disk", full, true},
          {"io_error_once", error, false},
          {"io_error", error, true}};
}

class EveryOperationTest : public ::testing::TestWithParam<Kind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, EveryOperationTest, ::testing::ValuesIn(Kinds()),
                         [](const auto& kind) { return std::string(kind.param.name); });

// Errors that last begin at every fourth operation: they meet the others too.
constexpr uint64_t kStrideOfLasting = 4;

// Each run waits for the disk a hundred times. So a run of the tests looks at every fourth
// operation, and SPILLWAY_FAULT_STRIDE=1 (bazel's --test_env) at every one.
constexpr uint64_t kStrideByDefault = 4;

uint64_t Stride() {
  const char* const asked = std::getenv("SPILLWAY_FAULT_STRIDE");  // NOLINT(concurrency-mt-unsafe)
  uint64_t stride = 0;
  return asked != nullptr && absl::SimpleAtoi(asked, &stride) && stride > 0 ? stride
                                                                            : kStrideByDefault;
}

// Where a kind of error begins: the kinds together look at all.
uint64_t First(const char* kind) { return 1 + std::hash<std::string_view>()(kind) % Stride(); }

TEST_P(EveryOperationTest, MayFailWhileTheDirectoryIsInUse) {
  for (uint64_t nth = First(GetParam().name);;
       nth += Stride() * (GetParam().persists ? kStrideOfLasting : 1)) {
    TemporaryDirectory directory;
    Fault fault(nth, GetParam().status, GetParam().persists);
    std::atomic<bool> armed{false};
    Scenario scenario;
    {
      std::unique_ptr<SpillBackend> backend =
          Open(directory.path(), [&](const char* operation, const std::string& path) {
            return armed ? fault.Ask(operation, path) : rocksdb::IOStatus::OK();
          }).value();
      backend->SetRelocationListener(&scenario);
      scenario.Run(backend.get(), 0);
      armed = true;
      for (size_t step = 1; step < Scenario::steps(); ++step) scenario.Run(backend.get(), step);
      backend->WaitForReclaim(10);
      fault.End();
      SCOPED_TRACE(absl::StrCat("operation ", nth, ": ", fault.where()));
      // It works again by itself.
      scenario.Run(backend.get(), Scenario::steps());
      scenario.ExpectReadable(backend.get());
      EXPECT_EQ(backend->Health(), absl::OkStatus());
      EXPECT_TRUE(backend->WaitForReclaim(kReclaimMillis));
      ExpectNoSpaceLeak(directory.path(), backend.get());
      EXPECT_EQ(backend->Close(), absl::OkStatus());
    }
    SCOPED_TRACE(absl::StrCat("operation ", nth, ": ", fault.where()));
    Judge(directory.path(), &scenario, /*worked_again=*/true);
    if (::testing::Test::HasFailure() || fault.where().empty()) break;
  }
}

TEST_P(EveryOperationTest, MayFailUntilTheDirectoryIsClosed) {
  // The errors last: what comes to be on disk is what was there before, and what was acknowledged.
  for (uint64_t nth = First(GetParam().name);;
       nth += Stride() * (GetParam().persists ? 1 : 4) * kStrideOfLasting) {
    TemporaryDirectory directory;
    Fault fault(nth, GetParam().status, GetParam().persists);
    std::atomic<bool> armed{false};
    Scenario scenario;
    {
      std::unique_ptr<SpillBackend> backend =
          Open(directory.path(), [&](const char* operation, const std::string& path) {
            return armed ? fault.Ask(operation, path) : rocksdb::IOStatus::OK();
          }).value();
      backend->SetRelocationListener(&scenario);
      scenario.Run(backend.get(), 0);
      armed = true;
      for (size_t step = 1; step < Scenario::steps(); ++step) scenario.Run(backend.get(), step);
      backend->Close().IgnoreError();
    }
    fault.End();
    SCOPED_TRACE(absl::StrCat("operation ", nth, ": ", fault.where()));
    Judge(directory.path(), &scenario, /*worked_again=*/false);
    if (::testing::Test::HasFailure() || fault.where().empty()) break;
  }
}

TEST_P(EveryOperationTest, MayFailWhileTheDirectoryIsOpened) {
  TemporaryDirectory directory;
  Scenario scenario;
  {
    std::unique_ptr<SpillBackend> backend = Open(directory.path()).value();
    backend->SetRelocationListener(&scenario);
    for (size_t step = 0; step < Scenario::steps(); ++step) scenario.Run(backend.get(), step);
    ASSERT_TRUE(backend->WaitForReclaim(kReclaimMillis));
  }
  for (uint64_t nth = First(GetParam().name);; nth += Stride()) {
    Fault fault(nth, GetParam().status, GetParam().persists);
    {
      absl::StatusOr<std::unique_ptr<SpillBackend>> backend =
          Open(directory.path(), [&](const char* operation, const std::string& path) {
            return fault.Ask(operation, path);
          });
      SCOPED_TRACE(absl::StrCat("operation ", nth, ": ", fault.where()));
      // An error is reported as what it is; what opens all the same has everything.
      if (backend.ok()) {
        fault.End();
        scenario.ExpectAfterRecovery(backend->get(), /*worked_again=*/true);
      } else {
        EXPECT_TRUE(absl::IsResourceExhausted(backend.status()) ||
                    absl::IsInternal(backend.status()))
            << backend.status();
      }
    }
    SCOPED_TRACE(absl::StrCat("operation ", nth, ": ", fault.where()));
    Judge(directory.path(), &scenario, /*worked_again=*/true);
    if (::testing::Test::HasFailure() || fault.where().empty()) break;
  }
}

// --- Kills

// Runs the scenario and reports each step, until the nth operation kills the process.
[[noreturn]] void RunUntilKilled(const std::string& directory, uint64_t nth) {
  std::atomic<uint64_t> countdown{nth};
  std::unique_ptr<SpillBackend> backend = Open(directory, [&](const char*, const std::string&) {
                                            if (countdown.fetch_sub(1) == 1)
                                              kill(getpid(), SIGKILL);
                                            return rocksdb::IOStatus::OK();
                                          }).value();
  const auto report = [](absl::string_view what, size_t step) {
    const std::string line = absl::StrCat(what, " ", step, "\n");
    if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(1);
  };
  Scenario scenario;
  backend->SetRelocationListener(&scenario);
  for (size_t step = 0; step < Scenario::steps(); ++step) {
    report("begun", step);
    scenario.Run(backend.get(), step);
    report("done", step);
  }
  backend->WaitForReclaim(kReclaimMillis);
  CHECK(backend->Close().ok());
  _exit(0);
}

// Runs the program again as the one that is to be killed; false if it came to its end.
bool RunAndKill(const std::string& directory, uint64_t nth, Scenario* scenario) {
  int reports[2];
  CHECK_EQ(pipe(reports), 0);
  const std::string number = absl::StrCat(nth);
  const pid_t child = fork();
  if (child == 0) {
    dup2(reports[1], STDOUT_FILENO);
    close(reports[0]);
    close(reports[1]);
    execl("/proc/self/exe", "every_operation_test", "--kill-at", number.c_str(), directory.c_str(),
          nullptr);
    _exit(127);
  }
  close(reports[1]);
  FILE* stream = fdopen(reports[0], "r");
  char line[64];
  while (fgets(line, sizeof(line), stream) != nullptr) {
    const std::vector<std::string> words = absl::StrSplit(absl::StripSuffix(line, "\n"), ' ');
    size_t step = 0;
    if (words.size() != 2 || !absl::SimpleAtoi(words[1], &step)) {
      ADD_FAILURE() << "the child says " << line;
    } else if (words[0] == "begun") {
      scenario->NoteBegun(step);
    } else {
      scenario->NoteDone(step);
    }
  }
  fclose(stream);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return false;
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
      << "the child ended by itself, with status " << status;
  return true;
}

TEST(KillTest, EveryOperationMayBeTheLastBeforeAKill) {
  uint64_t nth = 1;
  for (;; nth += Stride()) {
    SCOPED_TRACE(absl::StrCat("operation ", nth));
    TemporaryDirectory directory;
    Scenario scenario;
    const bool killed = RunAndKill(directory.path(), nth, &scenario);
    Judge(directory.path(), &scenario, /*worked_again=*/false);
    if (!killed || ::testing::Test::HasFailure()) break;
  }
  RecordProperty("operations", static_cast<int>(nth));
  EXPECT_GT(nth, 50u);
}

}  // namespace

[[noreturn]] void WorkUntilKilled(uint64_t nth, const std::string& directory) {
  RunUntilKilled(directory, nth);
}

}  // namespace spillway

int main(int argc, char** argv) {
  uint64_t nth = 0;
  if (argc == 4 && std::string(argv[1]) == "--kill-at" && absl::SimpleAtoi(argv[2], &nth)) {
    spillway::WorkUntilKilled(nth, argv[3]);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
