// Checkpoints that outlive the process.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "store/open_store.h"

namespace spillway {
namespace {

class Counter {
 public:
  int Add(int n) { return count_ += n; }
  int count() const { return count_; }
  int SaveState() const { return count_; }
  void LoadState(int count) { count_ = count; }

 private:
  int count_ = 0;
};

std::unique_ptr<Runtime> StartOnDisk(const std::string& directory) {
  StoreOptions store_options;
  store_options.memory_limit_bytes = 64 * kMiB;
  store_options.spill_directory = directory;
  store_options.recovery = SpillRecovery::kKeep;
  auto store = OpenStore(store_options);
  CHECK(store.ok()) << store.status();
  RuntimeOptions options;
  options.workers = 2;
  return Runtime::Start(options, *std::move(store)).value();
}

ActorOptions Durable() {
  ActorOptions options;
  options.name = "counter";
  options.durable = true;
  options.restore = true;
  return options;
}

TEST(DurableActorTest, AfterAKillItContinuesFromTheLastCheckpoint) {
  const std::string directory = ::testing::TempDir() + "/durable_actor";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto runtime = StartOnDisk(directory);
    auto counter = runtime->CreateActor<Counter>(Durable());
    counter.Call(&Counter::Add, 5);
    if (!counter.Checkpoint().Get().ok()) _exit(1);
    counter.Call(&Counter::Add, 2);
    if (!counter.Checkpoint().Get().ok()) _exit(2);
    if (!counter.Call(&Counter::Add, 100).Get().ok()) _exit(3);  // not saved
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  auto runtime = StartOnDisk(directory);
  auto counter = runtime->CreateActor<Counter>(Durable());
  EXPECT_EQ(*counter.Call(&Counter::count).Get().value(), 7);
  // Without a wish to restore it begins anew.
  counter = {};
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (runtime->Stats().actors_alive > 0 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  ASSERT_EQ(runtime->Stats().actors_alive, 0u);
  ActorOptions anew = Durable();
  anew.restore = false;
  EXPECT_EQ(*runtime->CreateActor<Counter>(anew).Call(&Counter::count).Get().value(), 0);
}

TEST(DurableActorTest, WrongOptionsAreTold) {
  auto runtime = StartOnDisk(::testing::TempDir() + "/durable_options");
  ActorOptions nameless = Durable();
  nameless.name = "";
  EXPECT_EQ(runtime->CreateActor<Counter>(nameless).status().code(),
            absl::StatusCode::kInvalidArgument);
  ActorOptions forgetful = Durable();
  forgetful.durable = false;
  EXPECT_EQ(runtime->CreateActor<Counter>(forgetful).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace spillway
