// kill -9 of a process whose threads put, name, replace, unbind and delete durable objects, while
// others are spilled. Afterwards every change that was acknowledged is there bit for bit, every
// other one has happened as a whole or not at all, and nothing else is left on disk.
//
// The parent runs the program again as a child that works on a directory and reports each change
// before it begins and after it was acknowledged; kills it after a random time; opens the directory
// and judges.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "spill/rocksdb_backend.h"
#include "store/object_store.h"
#include "store/open_store.h"
#include "store/options.h"
#include "tests/store/held_store.h"
#include "tests/store/store_directory.h"

namespace spillway {
namespace {

constexpr int kNamers = 3;
constexpr int kNamesPerNamer = 12;
constexpr uint64_t kNothing = 0;

// The value follows from its seed.
std::string ValueOf(uint64_t seed) {
  const std::vector<size_t> sizes = {0, 10, 500, 16384, 16385, 50000, 400000};
  return BytesOfSeed(sizes[seed % sizes.size()], seed);
}

std::unique_ptr<ObjectStore> OpenKeep(const std::string& path) {
  auto store = OpenStore(StoreDirectory::Options(path));
  CHECK(store.ok()) << store.status();
  return *std::move(store);
}

// --- The child

class Worker {
 public:
  explicit Worker(const std::string& directory) : store_(OpenKeep(directory)) {}

  [[noreturn]] void Run() {
    std::vector<std::thread> threads;
    for (int t = 0; t < kNamers; ++t) threads.emplace_back([this, t] { ChangeNames(t); });
    threads.emplace_back([this] { PutAndDelete(); });
    ChurnScratch();
  }

 private:
  static void Report(const std::string& line) {
    if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      _exit(0);  // the parent has gone
    }
  }
  static std::mt19937_64 Random(int thread) {
    return std::mt19937_64(static_cast<uint64_t>(getpid()) * 31 + static_cast<uint64_t>(thread));
  }

  [[noreturn]] void ChangeNames(int namer) {
    std::mt19937_64 random = Random(namer);
    std::deque<ObjectRef<std::string>> held;  // some objects lose their names before their refs
    for (;;) {
      const std::string name = absl::StrCat(namer, "/", random() % kNamesPerNamer);
      const uint64_t what = random() % 8;
      const uint64_t seed = what < 5 ? random() % 1000000 + 1 : kNothing;
      Report(absl::StrCat("begin name ", name, " ", seed, "\n"));
      if (what < 3) {
        PutOptions options;
        options.name = name;
        options.replace = true;
        held.push_back(store_->Put(ValueOf(seed), options).value());
      } else if (what < 5) {
        held.push_back(store_->Put(ValueOf(seed)).value());
        const absl::Status status = store_->Bind(name, held.back().any(), true);
        CHECK(status.ok()) << status;
      } else if (what < 7) {
        const absl::Status status = store_->Unbind(name);
        CHECK(status.ok() || absl::IsNotFound(status)) << status;
      } else if (auto ref = store_->Find(name); ref.ok()) {
        const absl::Status status = store_->Delete(ref->id());
        CHECK(status.ok()) << status;
      }
      Report(absl::StrCat("done name ", name, " ", seed, "\n"));
      while (held.size() > random() % 20) held.pop_front();
    }
  }

  [[noreturn]] void PutAndDelete() {
    std::mt19937_64 random = Random(kNamers);
    std::vector<ObjectId> mine;
    for (;;) {
      if (mine.size() > 20) {
        std::swap(mine[random() % mine.size()], mine.back());
        const ObjectId id = mine.back();
        mine.pop_back();
        Report(absl::StrCat("begin delete ", id.value, " 0\n"));
        const absl::Status status = store_->Delete(id);
        CHECK(status.ok()) << status;
        Report(absl::StrCat("done delete ", id.value, " 0\n"));
        continue;
      }
      const uint64_t seed = random() % 1000000 + 1;
      PutOptions options;
      options.durable = random() % 2 == 0;
      Report(absl::StrCat("begin put 0 ", seed, "\n"));
      auto ref = store_->Put(ValueOf(seed), options).value();
      const absl::Status status = ref.Persist();
      CHECK(status.ok()) << status;
      Report(absl::StrCat("done put ", ref.id().value, " ", seed, "\n"));
      mine.push_back(ref.id());
    }
  }

  // Keeps the spiller and reclaim busy.
  [[noreturn]] void ChurnScratch() {
    std::mt19937_64 random = Random(kNamers + 1);
    std::vector<ObjectRef<std::string>> live;
    for (;;) {
      live.push_back(store_->Put(BytesOfSeed(random() % 500000, random())).value());
      if (live.size() <= 150) continue;
      std::swap(live[random() % live.size()], live.back());
      live.pop_back();
    }
  }

  const std::unique_ptr<ObjectStore> store_;
};

// --- The parent

class Expectation {
 public:
  void Take(absl::string_view line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    ASSERT_EQ(words.size(), 4u) << line;
    uint64_t number = 0;
    ASSERT_TRUE(absl::SimpleAtoi(words[3], &number)) << line;
    const bool done = words[0] == "done";
    acknowledged_ += done ? 1 : 0;
    if (words[1] == "name") {
      State& state = names_[words[2]];
      if (done) {
        state.settled = number;
        state.begun.reset();
      } else {
        state.begun = number;
      }
      return;
    }
    uint64_t id = 0;
    ASSERT_TRUE(absl::SimpleAtoi(words[2], &id)) << line;
    if (words[1] == "put") {
      if (done) objects_[id] = number;
      begun_put_ = done ? kNothing : number;
    } else {
      objects_.erase(id);
      begun_delete_ = done ? kNothing : id;
    }
  }

  // Compares with what is there, and goes on from that.
  void Judge(const std::string& directory) {
    std::set<uint64_t> expected;
    {
      const std::unique_ptr<ObjectStore> store = OpenKeep(directory);
      for (auto& [name, state] : names_) JudgeName(*store, name, &state, &expected);
      for (const auto& [id, seed] : objects_) {
        const auto view = store->Get<std::string>({id});
        ASSERT_TRUE(view.ok()) << "object " << id << ": " << view.status();
        EXPECT_EQ(**view, ValueOf(seed));
        expected.insert(id);
      }
    }
    std::set<uint64_t> there;
    {
      RocksDbBackendOptions options;
      options.spill_directory = directory;
      options.recovery = SpillRecovery::kKeep;
      const std::unique_ptr<SpillBackend> backend = OpenRocksDbBackend(options).value();
      ASSERT_TRUE(
          backend->Scan([&](const SpillScanEntry& entry) { there.insert(entry.object_id); }).ok());
      EXPECT_EQ(backend->Usage().damaged_records, 0u);
    }
    for (const uint64_t id : expected) EXPECT_TRUE(there.contains(id)) << id;
    // Beyond what was acknowledged there is at most what the two changes in flight have left.
    const std::unique_ptr<ObjectStore> store = OpenKeep(directory);
    for (const uint64_t id : there) {
      if (expected.contains(id)) continue;
      const std::string value = store->Ref<std::string>({id})->Read().value();
      EXPECT_TRUE(id == begun_delete_ || (begun_put_ != kNothing && value == ValueOf(begun_put_)))
          << "object " << id << " of " << value.size() << " bytes is left";
      if (id != begun_delete_) begun_put_ = kNothing;
      EXPECT_TRUE(store->Delete({id}).ok());
    }
    begun_put_ = begun_delete_ = kNothing;
  }

  int acknowledged() const { return acknowledged_; }

 private:
  struct State {
    uint64_t settled = kNothing;
    std::optional<uint64_t> begun;
  };

  static void JudgeName(const ObjectStore& store, const std::string& name, State* state,
                        std::set<uint64_t>* expected) {
    const auto ref = store.Find<std::string>(name);
    ASSERT_TRUE(ref.ok() || absl::IsNotFound(ref.status())) << ref.status();
    const auto is = [&](uint64_t seed) {
      if (!ref.ok() || seed == kNothing) return !ref.ok() && seed == kNothing;
      return ref->Read().value() == ValueOf(seed);
    };
    const bool is_settled = is(state->settled);
    EXPECT_TRUE(is_settled || (state->begun && is(*state->begun)))
        << "the name " << name << " has " << (ref.ok() ? "another value" : "no value")
        << ", was acknowledged as " << state->settled << ", a change to "
        << state->begun.value_or(kNothing) << (state->begun ? " had begun" : " (none) had begun");
    if (!is_settled && state->begun) state->settled = *state->begun;
    state->begun.reset();
    if (ref.ok()) expected->insert(ref->id().value);
  }

  std::map<std::string, State> names_;
  std::map<uint64_t, uint64_t> objects_;  // seeds by id
  uint64_t begun_put_ = kNothing;         // a seed
  uint64_t begun_delete_ = kNothing;      // an id
  int acknowledged_ = 0;
};

// Runs a child for the given time and hands its reports to `expectation`.
void RunAndKill(const std::string& directory, absl::Duration time, Expectation* expectation) {
  int reports[2];
  ASSERT_EQ(pipe(reports), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(reports[1], STDOUT_FILENO);
    close(reports[0]);
    close(reports[1]);
    execl("/proc/self/exe", "durable_crash_test", "--work-on", directory.c_str(), nullptr);
    _exit(127);
  }
  close(reports[1]);
  std::thread killer([&] {
    absl::SleepFor(time);
    kill(child, SIGKILL);
  });
  FILE* stream = fdopen(reports[0], "r");
  char line[256];
  while (fgets(line, sizeof(line), stream) != nullptr) {
    absl::string_view text = line;
    // The last line may have been cut short by the kill; pipes keep short writes whole.
    if (text.empty() || text.back() != '\n') break;
    text.remove_suffix(1);
    expectation->Take(text);
  }
  fclose(stream);
  killer.join();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
      << "the child ended by itself, with status " << status;
}

TEST(DurableCrashTest, WhatTheStoreAcknowledgedSurvivesAKillAtAnyMoment) {
  StoreDirectory directory;
  Expectation expectation;
  std::mt19937_64 random(20240601);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    // Some are killed while they open.
    const absl::Duration time = absl::Milliseconds(random() % (round % 3 == 0 ? 60 : 800));
    RunAndKill(directory.path(), time, &expectation);
    if (::testing::Test::HasFatalFailure()) return;
    expectation.Judge(directory.path());
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(expectation.acknowledged(), 100);
}

}  // namespace

[[noreturn]] void WorkUntilKilled(const std::string& directory) { Worker(directory).Run(); }

}  // namespace spillway

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--work-on") spillway::WorkUntilKilled(argv[2]);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
