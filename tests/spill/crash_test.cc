// kill -9 at any moment: while batches are built, taken in and copied forward, while names are
// replaced and durable records deleted. Afterwards every change that was acknowledged is there bit
// for bit, every other one has happened as a whole or not at all, and nothing that nobody refers to
// takes space.
//
// The parent runs the program again as a child that works on a directory and reports each change
// before it begins and after it was acknowledged; kills it after a random time; opens the directory
// and judges.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "serialization/mutex.h"
#include "spill/durable_state.h"
#include "spill/rocksdb_backend.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

using ::spillway::testing::BytesBelow;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::TypeOf;

constexpr int kNamers = 4;
constexpr int kNamesPerNamer = 40;
constexpr uint64_t kNothing = 0;

std::unique_ptr<SpillBackend> OpenKeep(const std::string& directory) {
  RocksDbBackendOptions options = SmallRocksDbOptions(directory);
  options.recovery = SpillRecovery::kKeep;
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = OpenRocksDbBackend(options);
  CHECK(backend.ok()) << backend.status();
  return *std::move(backend);
}

// The size follows from the id, so that whoever knows the id knows the bytes.
size_t SizeOf(uint64_t object_id) {
  const std::vector<size_t> sizes = {0, 10, 500, 16384, 16385, 50000, 200000};
  return sizes[object_id % sizes.size()];
}

// --- The child

class Worker final : public RelocationListener {
 public:
  explicit Worker(const std::string& directory) : backend_(OpenKeep(directory)) {
    backend_->SetRelocationListener(this);
    next_number_ = backend_->ReserveObjectIds(1 << 24).value();
  }

  [[noreturn]] void Run() {
    std::vector<std::thread> threads;
    for (int t = 0; t < kNamers; ++t) threads.emplace_back([this, t] { ReplaceNames(t); });
    ChurnScratch();
  }

  bool OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) override {
    // Held by whoever changes the object, from the choice of the ticket to the end of the change.
    Shard& shard = shards_[object_id % kShards];
    MutexLock lock(&shard.mutex);
    const auto found = shard.tickets.find(object_id);
    if (found == shard.tickets.end() || found->second != from) return false;
    found->second = to;
    return true;
  }

 private:
  // Each thread has a shard of its own.
  struct Shard {
    Mutex mutex;
    std::map<uint64_t, SpillTicket> tickets ABSL_GUARDED_BY(mutex);
  };
  static constexpr uint64_t kShards = kNamers + 1;

  uint64_t NewId(uint64_t shard) { return next_number_.fetch_add(1) * kShards + shard; }

  static void Report(const std::string& line) {
    if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      _exit(0);  // the parent has gone
    }
  }

  [[noreturn]] void ReplaceNames(int namer) {
    std::mt19937_64 random(static_cast<uint64_t>(getpid()) * 31 + static_cast<uint64_t>(namer));
    for (;;) {
      const std::string name = absl::StrCat(namer, "/", random() % kNamesPerNamer);
      const bool erase = random() % 5 == 0;
      const uint64_t id = erase ? kNothing : NewId(static_cast<uint64_t>(namer));
      Report(absl::StrCat("begin ", name, " ", id, "\n"));
      Change(name, id, &shards_[static_cast<size_t>(namer)]);
      Report(absl::StrCat("done ", name, " ", id, "\n"));
    }
  }

  void Change(const std::string& name, uint64_t id, Shard* shard) {
    MutexLock lock(&shard->mutex);
    const absl::StatusOr<uint64_t> old = backend_->durable_state()->FindName(name);
    SpillTicket old_ticket = kNoTicket;
    if (old.ok()) {
      const auto held = shard->tickets.find(*old);
      // What an earlier process left is not held yet.
      old_ticket = held != shard->tickets.end()
                       ? held->second
                       : backend_->durable_state()->FindObject(*old).value().ticket;
    }
    if (id == kNothing) {
      DurableChange change;
      change.unbind = {name};
      change.release = {old_ticket};
      const absl::Status status = backend_->durable_state()->Commit(change);
      CHECK(status.ok()) << status;
    } else {
      const std::string payload = RandomPayload(id, SizeOf(id));
      SpillRecord record;
      record.object_id = id;
      record.type = TypeOf(id);
      record.payload = payload;
      record.durable = true;
      record.name = name;
      record.supersedes = old_ticket;
      std::vector<SpillResult> results;
      backend_->Write({&record, 1}, &results);
      CHECK(results[0].status.ok()) << results[0].status;
      shard->tickets[id] = results[0].ticket;
    }
    if (old.ok()) shard->tickets.erase(*old);
  }

  // Keeps builders and reclaim busy.
  [[noreturn]] void ChurnScratch() {
    std::mt19937_64 random(static_cast<uint64_t>(getpid()));
    std::vector<uint64_t> live;
    Shard& shard = shards_[kNamers];
    for (;;) {
      std::vector<std::string> payloads;
      std::vector<uint64_t> ids;
      for (int i = 0; i < 10; ++i) {
        ids.push_back(NewId(kNamers));
        payloads.push_back(RandomPayload(ids.back(), random() % 60000));
      }
      std::vector<SpillRecord> records;
      for (size_t i = 0; i < ids.size(); ++i) {
        SpillRecord record;
        record.object_id = ids[i];
        record.type = TypeOf(ids[i]);
        record.payload = payloads[i];
        records.push_back(record);
      }
      std::vector<SpillResult> results;
      backend_->Write(records, &results);
      MutexLock lock(&shard.mutex);
      for (size_t i = 0; i < ids.size(); ++i) {
        shard.tickets[ids[i]] = results[i].ticket;
        live.push_back(ids[i]);
      }
      while (live.size() > 60) {
        const size_t victim = random() % live.size();
        backend_->Release(shard.tickets[live[victim]]);
        shard.tickets.erase(live[victim]);
        live[victim] = live.back();
        live.pop_back();
      }
    }
  }

  std::array<Shard, kShards> shards_;
  std::atomic<uint64_t> next_number_{0};
  const std::unique_ptr<SpillBackend> backend_;
};

// --- The parent

// What names may be bound to.
class Expectation {
 public:
  void Take(absl::string_view line) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    ASSERT_EQ(words.size(), 3u) << line;
    uint64_t id = 0;
    ASSERT_TRUE(absl::SimpleAtoi(words[2], &id)) << line;
    State& state = names_[words[1]];
    if (words[0] == "begin") {
      state.begun = id;
    } else {
      state.settled = id;
      state.begun.reset();
      ++acknowledged_;
    }
  }

  // Compares with what is there, and goes on from that.
  void Judge(SpillBackend* backend) {
    std::set<uint64_t> bound;
    for (auto& [name, state] : names_) {
      const absl::StatusOr<uint64_t> found = backend->durable_state()->FindName(name);
      ASSERT_TRUE(found.ok() || absl::IsNotFound(found.status())) << found.status();
      const uint64_t id = found.ok() ? *found : kNothing;
      EXPECT_TRUE(id == state.settled || (state.begun && id == *state.begun))
          << "the name " << name << " is bound to " << id << ", was acknowledged as "
          << state.settled << ", a change to " << state.begun.value_or(kNothing)
          << (state.begun ? " had begun" : " (none) had begun");
      state.settled = id;
      state.begun.reset();
      if (id == kNothing) continue;
      bound.insert(id);
      const absl::StatusOr<SpillScanEntry> entry = backend->durable_state()->FindObject(id);
      ASSERT_TRUE(entry.ok()) << "object " << id << " of name " << name << ": " << entry.status();
      EXPECT_EQ(entry->payload_bytes, SizeOf(id));
      EXPECT_EQ(ReadBack(backend, {id, RandomPayload(id, SizeOf(id)), entry->ticket}),
                absl::OkStatus());
    }
    std::set<uint64_t> there;
    EXPECT_EQ(backend->Scan([&](const SpillScanEntry& entry) { there.insert(entry.object_id); }),
              absl::OkStatus());
    EXPECT_EQ(there, bound) << "what is durable is not what is bound to names";
    EXPECT_EQ(backend->Usage().live_records, bound.size());
    EXPECT_EQ(backend->Usage().damaged_records, 0u);
  }

  int acknowledged() const { return acknowledged_; }

 private:
  struct State {
    uint64_t settled = kNothing;
    std::optional<uint64_t> begun;
  };
  std::map<std::string, State> names_;
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
    execl("/proc/self/exe", "crash_test", "--work-on", directory.c_str(), nullptr);
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

TEST(CrashTest, WhatWasAcknowledgedSurvivesAKillAtAnyMoment) {
  TemporaryDirectory directory;
  Expectation expectation;
  std::mt19937_64 random(20240601);
  for (int round = 0; round < 15; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    // Some are killed while they open.
    const absl::Duration time = absl::Milliseconds(random() % (round % 3 == 0 ? 40 : 600));
    RunAndKill(directory.path(), time, &expectation);
    if (::testing::Test::HasFatalFailure()) return;
    std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
    expectation.Judge(backend.get());
    if (::testing::Test::HasFailure()) return;
    EXPECT_TRUE(backend->WaitForReclaim(10000));
    const SpillUsage usage = backend->Usage();
    EXPECT_LE(BytesBelow(directory.path()), 2 * usage.held_bytes + (uint64_t{4} << 20));
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
