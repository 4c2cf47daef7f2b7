// Names and durable records: what every backend that keeps them does, and what the RocksDB one
// keeps across restarts.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/durable_state.h"
#include "spill/fault_backend.h"
#include "spill/memory_backend.h"
#include "spill/rocksdb_backend.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

using ::spillway::testing::ContainsBytes;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::TypeOf;
using ::spillway::testing::WriteAll;
using ::spillway::testing::WriteOne;
using ::spillway::testing::Written;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::unique_ptr<SpillBackend> OpenKeep(const std::string& directory, bool read_only = false) {
  RocksDbBackendOptions options = SmallRocksDbOptions(directory);
  options.recovery = SpillRecovery::kKeep;
  options.read_only = read_only;
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = OpenRocksDbBackend(options);
  EXPECT_TRUE(backend.ok()) << backend.status();
  return backend.ok() ? *std::move(backend) : nullptr;
}

// Writes a durable record under a name.
SpillResult WriteNamed(SpillBackend* backend, uint64_t object_id, const std::string& payload,
                       const std::string& name, SpillTicket supersedes = kNoTicket) {
  SpillRecord record;
  record.object_id = object_id;
  record.type = TypeOf(object_id);
  record.payload = payload;
  record.durable = true;
  record.name = name;
  record.supersedes = supersedes;
  std::vector<SpillResult> results;
  backend->Write({&record, 1}, &results);
  return results.at(0);
}

std::vector<std::string> Names(DurableState* state, const std::string& prefix) {
  std::vector<std::string> names;
  EXPECT_EQ(state->ListNames(prefix, "",
                             [&](absl::string_view name, uint64_t object_id) {
                               names.push_back(absl::StrCat(name, "=", object_id));
                               return true;
                             }),
            absl::OkStatus());
  return names;
}

struct Variant {
  const char* name;
  std::function<std::unique_ptr<SpillBackend>(const std::string& directory)> open;
};

class DurableStateTest : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    backend_ = GetParam().open(directory_.path());
    ASSERT_NE(backend_, nullptr);
    state_ = backend_->durable_state();
    ASSERT_NE(state_, nullptr);
  }
  TemporaryDirectory directory_;
  std::unique_ptr<SpillBackend> backend_;
  DurableState* state_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(
    Backends, DurableStateTest,
    ::testing::Values(Variant{"memory", [](const std::string&) { return NewMemoryBackend(); }},
                      Variant{"fault",
                              [](const std::string&) -> std::unique_ptr<SpillBackend> {
                                return std::make_unique<FaultBackend>(NewMemoryBackend());
                              }},
                      Variant{"rocksdb", [](const std::string& d) { return OpenKeep(d); }}),
    [](const auto& variant) { return std::string(variant.param.name); });

TEST_P(DurableStateTest, ARecordMayTakeThePlaceOfOneOfTheSameObject) {
  for (size_t bytes : {100, 100000}) {
    const uint64_t id = bytes;
    const std::string name = absl::StrCat("name ", bytes);
    const SpillTicket before =
        WriteNamed(backend_.get(), id, RandomPayload(id, bytes), name).ticket;
    const SpillTicket after =
        WriteNamed(backend_.get(), id, RandomPayload(id + 1, bytes), "", before).ticket;
    const absl::StatusOr<SpillScanEntry> entry = state_->FindObject(id);
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->ticket, after);
    EXPECT_EQ(state_->FindName(name).value(), id);
    EXPECT_EQ(ReadBack(backend_.get(), {id, RandomPayload(id + 1, bytes), after}),
              absl::OkStatus());
  }
  EXPECT_EQ(backend_->Usage().live_records, 2u);
}

TEST_P(DurableStateTest, ANameIsBoundTogetherWithItsRecord) {
  for (size_t bytes : {0, 100, 100000}) {
    const uint64_t id = bytes + 1;
    const std::string name = absl::StrCat("name ", bytes);
    const Written object{id, RandomPayload(id, bytes),
                         WriteNamed(backend_.get(), id, RandomPayload(id, bytes), name).ticket};
    EXPECT_EQ(ReadBack(backend_.get(), object), absl::OkStatus());
    EXPECT_EQ(state_->FindName(name).value(), id);
    const absl::StatusOr<SpillScanEntry> entry = state_->FindObject(id);
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->ticket, object.ticket);
    EXPECT_EQ(entry->object_id, id);
    EXPECT_EQ(entry->type, TypeOf(id));
    EXPECT_EQ(entry->payload_bytes, bytes);
    EXPECT_TRUE(entry->durable);
  }
}

TEST_P(DurableStateTest, WhatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(state_->FindName("nobody").status()));
  EXPECT_TRUE(absl::IsNotFound(state_->FindName("").status()));
  EXPECT_TRUE(absl::IsNotFound(state_->FindObject(77).status()));
  WriteOne(backend_.get(), 1, "scratch");
  EXPECT_TRUE(absl::IsNotFound(state_->FindObject(1).status()));
}

TEST_P(DurableStateTest, ARecordTakesTheNameAndThePlaceOfAnother) {
  for (size_t bytes : {100, 100000}) {
    const Written old{1, RandomPayload(1, bytes),
                      WriteNamed(backend_.get(), 1, RandomPayload(1, bytes), "n").ticket};
    const Written replacement{
        2, RandomPayload(2, bytes),
        WriteNamed(backend_.get(), 2, RandomPayload(2, bytes), "n", old.ticket).ticket};
    EXPECT_EQ(state_->FindName("n").value(), 2u);
    EXPECT_TRUE(absl::IsNotFound(ReadBack(backend_.get(), old)));
    EXPECT_TRUE(absl::IsNotFound(state_->FindObject(1).status()));
    EXPECT_EQ(ReadBack(backend_.get(), replacement), absl::OkStatus());
    EXPECT_EQ(backend_->Usage().live_records, 1u);
    EXPECT_EQ(state_->Commit({.release = {replacement.ticket}}), absl::OkStatus());
  }
}

TEST_P(DurableStateTest, AChangeBindsUnbindsAndReleases) {
  const std::vector<Written> objects =
      WriteAll(backend_.get(), 1, {"one", RandomPayload(2, 100000), "three"}, /*durable=*/true);
  DurableChange change;
  change.bind = {{"a", 1}, {"b", 2}, {"c", 3}};
  EXPECT_EQ(state_->Commit(change), absl::OkStatus());
  EXPECT_THAT(Names(state_, ""), ElementsAre("a=1", "b=2", "c=3"));

  change.bind = {{"c", 2}, {"d", 2}};
  change.unbind = {"a", "no such name"};
  change.release = {objects[0].ticket, objects[2].ticket, 123456};
  EXPECT_EQ(state_->Commit(change), absl::OkStatus());
  EXPECT_THAT(Names(state_, ""), ElementsAre("b=2", "c=2", "d=2"));
  EXPECT_TRUE(absl::IsNotFound(ReadBack(backend_.get(), objects[0])));
  EXPECT_EQ(ReadBack(backend_.get(), objects[1]), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(ReadBack(backend_.get(), objects[2])));
  EXPECT_EQ(backend_->Usage().live_records, 1u);
}

TEST_P(DurableStateTest, NamesAreListedByPrefixInByteOrder) {
  DurableChange change;
  const std::vector<std::string> names = {"b", "a/2", "a/10", "a", "\xff", std::string("a\0x", 3)};
  for (size_t i = 0; i < names.size(); ++i) change.bind.push_back({names[i], i + 1});
  ASSERT_EQ(state_->Commit(change), absl::OkStatus());
  EXPECT_THAT(Names(state_, "a/"), ElementsAre("a/10=3", "a/2=2"));
  EXPECT_THAT(Names(state_, ""),
              ElementsAre("a=4", std::string("a\0x=6", 5), "a/10=3", "a/2=2", "b=1", "\xff=5"));
  EXPECT_THAT(Names(state_, "zz"), IsEmpty());
  int calls = 0;
  EXPECT_EQ(state_->ListNames("", "", [&](absl::string_view, uint64_t) { return ++calls < 2; }),
            absl::OkStatus());
  EXPECT_EQ(calls, 2);
}

TEST_P(DurableStateTest, ANameMayBeNeitherEmptyNorVeryLong) {
  const std::string longest(kNameBytesMax, 'n');
  DurableChange change;
  change.bind = {{longest, 1}};
  EXPECT_EQ(state_->Commit(change), absl::OkStatus());
  for (const std::string& name : {std::string(), longest + "n"}) {
    change.bind = {{"fine", 1}, {name, 1}};
    EXPECT_TRUE(absl::IsInvalidArgument(state_->Commit(change)));
    change.bind.clear();
    change.unbind = {"fine", name};
    EXPECT_TRUE(absl::IsInvalidArgument(state_->Commit(change)));
    change.unbind.clear();
  }
  EXPECT_TRUE(absl::IsInvalidArgument(WriteNamed(backend_.get(), 1, "x", longest + "n").status));
  EXPECT_TRUE(absl::IsInvalidArgument(
      WriteNamed(backend_.get(), 1, RandomPayload(1, 100000), longest + "n").status));
  EXPECT_EQ(Names(state_, "").size(), 1u);
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
  EXPECT_EQ(backend_->Usage().live_records, 0u);
  EXPECT_EQ(backend_->Health(), absl::OkStatus());
}

TEST_P(DurableStateTest, NamesAreFoundByTheirObject) {
  WriteNamed(backend_.get(), 7, "seven", "b");
  WriteNamed(backend_.get(), 8, "eight", "x");
  DurableChange change;
  change.bind = {{"a", 7}, {"c", 7}};
  ASSERT_EQ(state_->Commit(change), absl::OkStatus());
  EXPECT_THAT(state_->NamesOf(7).value(), ElementsAre("a", "b", "c"));
  // One goes, one means another object now, one is bound twice in a row.
  ASSERT_EQ(state_->Commit({.bind = {{"b", 8}, {"a", 7}}, .unbind = {"c"}}), absl::OkStatus());
  EXPECT_THAT(state_->NamesOf(7).value(), ElementsAre("a"));
  EXPECT_THAT(state_->NamesOf(8).value(), ElementsAre("b", "x"));
  EXPECT_THAT(state_->NamesOf(9).value(), IsEmpty());
}

TEST_P(DurableStateTest, AnObjectEndsWithItsNames) {
  for (size_t bytes : {100, 100000}) {
    WriteNamed(backend_.get(), 1, RandomPayload(1, bytes), "a");
    WriteNamed(backend_.get(), 2, RandomPayload(2, bytes), "b");
    ASSERT_EQ(state_->Commit({.bind = {{"c", 1}}}), absl::OkStatus());
    ASSERT_EQ(state_->Commit({.end = {1, 33}}), absl::OkStatus());
    EXPECT_TRUE(absl::IsNotFound(state_->FindObject(1).status()));
    EXPECT_THAT(Names(state_, ""), ElementsAre("b=2"));
    EXPECT_EQ(backend_->Usage().live_records, 1u);
    ASSERT_EQ(state_->Commit({.end = {2}}), absl::OkStatus());
    EXPECT_EQ(backend_->Usage().live_records, 0u);
  }
}

TEST_P(DurableStateTest, NamesAreListedFromWhereAPageEnded) {
  ASSERT_EQ(state_->Commit({.bind = {{"a", 1}, {"b1", 2}, {"b2", 3}, {"b3", 4}, {"c", 5}}}),
            absl::OkStatus());
  for (const auto& [after, expected] :
       std::map<std::string, std::vector<std::string>>{{"", {"b1", "b2", "b3"}},
                                                       {"a", {"b1", "b2", "b3"}},
                                                       {"b1", {"b2", "b3"}},
                                                       {"b11", {"b2", "b3"}},
                                                       {"b3", {}},
                                                       {"c", {}}}) {
    std::vector<std::string> names;
    EXPECT_EQ(state_->ListNames("b", after,
                                [&](absl::string_view name, uint64_t) {
                                  names.emplace_back(name);
                                  return true;
                                }),
              absl::OkStatus());
    EXPECT_EQ(names, expected) << after;
  }
}

TEST(RetiredObjectsTest, EndAtTheNextOpenUnlessTheyHaveAName) {
  TemporaryDirectory directory;
  for (size_t bytes : {100, 100000}) {
    {
      std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
      DurableState* state = backend->durable_state();
      WriteNamed(backend.get(), 1, RandomPayload(1, bytes), "gone");
      WriteNamed(backend.get(), 2, RandomPayload(2, bytes), "named");
      WriteNamed(backend.get(), 3, RandomPayload(3, bytes), "taken back");
      SpillRecord record;
      const std::string payload = RandomPayload(4, bytes);
      record.object_id = 4;
      record.type = TypeOf(4);
      record.payload = payload;
      record.durable = true;
      record.name = "gone";
      record.retires = 1;
      std::vector<SpillResult> results;
      backend->Write({&record, 1}, &results);
      ASSERT_EQ(results[0].status, absl::OkStatus());
      ASSERT_EQ(state->Commit({.unbind = {"taken back"}, .retire = {2, 3, 4, 99}}),
                absl::OkStatus());
      ASSERT_EQ(state->Commit({.unbind = {"gone"}, .unretire = {3}}), absl::OkStatus());
      // Until then they are there for the process that uses them.
      for (const uint64_t id : {1, 2, 4}) EXPECT_TRUE(state->FindObject(id)->retired) << id;
      EXPECT_FALSE(state->FindObject(3)->retired);
    }
    std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
    DurableState* state = backend->durable_state();
    for (const uint64_t id : {1, 4}) {
      EXPECT_TRUE(absl::IsNotFound(state->FindObject(id).status())) << id;
    }
    for (const uint64_t id : {2, 3}) {
      ASSERT_TRUE(state->FindObject(id).ok()) << id;
      EXPECT_FALSE(state->FindObject(id)->retired) << id;
    }
    EXPECT_EQ(backend->Usage().live_records, 2u);
    ASSERT_EQ(state->Commit({.end = {2, 3}}), absl::OkStatus());
  }
}

TEST_P(DurableStateTest, AfterCloseEverythingIsUnavailable) {
  ASSERT_EQ(backend_->Close(), absl::OkStatus());
  EXPECT_TRUE(absl::IsUnavailable(state_->Commit({})));
  EXPECT_TRUE(absl::IsUnavailable(state_->FindName("n").status()));
  EXPECT_TRUE(absl::IsUnavailable(state_->FindObject(1).status()));
  EXPECT_TRUE(absl::IsUnavailable(
      state_->ListNames("", "", [](absl::string_view, uint64_t) { return true; })));
}

TEST_P(DurableStateTest, ManyThreadsPutReplaceAndDeleteAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 40;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = absl::StrCat("thread ", t);
      SpillTicket last = kNoTicket;
      for (int round = 0; round < kRounds; ++round) {
        const uint64_t id = static_cast<uint64_t>(1000 * t + round + 1);
        const size_t bytes = round % 8 == 0 ? 30000 : 500;
        const SpillResult result =
            WriteNamed(backend_.get(), id, RandomPayload(id, bytes), name, last);
        ASSERT_EQ(result.status, absl::OkStatus());
        last = result.ticket;
        EXPECT_EQ(state_->FindName(name).value(), id);
        EXPECT_EQ(ReadBack(backend_.get(), {id, RandomPayload(id, bytes), last}), absl::OkStatus());
      }
      DurableChange change;
      change.unbind = {name};
      change.release = {last};
      EXPECT_EQ(state_->Commit(change), absl::OkStatus());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Names(state_, ""), IsEmpty());
  EXPECT_TRUE(backend_->WaitForReclaim(10000));
  EXPECT_EQ(backend_->Usage().live_records, 0u);
  EXPECT_EQ(backend_->Usage().held_bytes, 0u);
}

// --- What only the disk can show

TEST(RocksDbDurableStateTest, NamesAndRecordsAreThereAgain) {
  TemporaryDirectory directory;
  std::map<uint64_t, Written> objects;
  {
    std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
    for (uint64_t id = 1; id <= 20; ++id) {
      const std::string payload = RandomPayload(id, id * id * 200);
      const SpillResult result =
          WriteNamed(backend.get(), id, payload, absl::StrCat("object ", id));
      objects[id] = {id, payload, result.ticket};
    }
    DurableChange change;
    change.unbind = {"object 3"};
    change.release = {objects[3].ticket};
    ASSERT_EQ(backend->durable_state()->Commit(change), absl::OkStatus());
    objects.erase(3);
  }
  for (bool read_only : {false, true, false}) {
    std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path(), read_only);
    EXPECT_EQ(Names(backend->durable_state(), "object ").size(), 19u);
    EXPECT_EQ(backend->Usage().live_records, 19u);
    for (const auto& [id, object] : objects) {
      EXPECT_EQ(backend->durable_state()->FindName(absl::StrCat("object ", id)).value(), id);
      EXPECT_EQ(backend->durable_state()->FindObject(id).value().ticket, object.ticket);
      EXPECT_EQ(ReadBack(backend.get(), object), absl::OkStatus());
    }
  }
}

TEST(RocksDbDurableStateTest, AReadOnlyOpenLooksWhileAnotherWorks) {
  TemporaryDirectory directory;
  std::unique_ptr<SpillBackend> worker = OpenKeep(directory.path());
  const Written small{1, "small", WriteNamed(worker.get(), 1, "small", "s").ticket};
  const Written large{2, RandomPayload(2, 200000),
                      WriteNamed(worker.get(), 2, RandomPayload(2, 200000), "l").ticket};
  std::unique_ptr<SpillBackend> reader = OpenKeep(directory.path(), /*read_only=*/true);
  ASSERT_NE(reader, nullptr);
  EXPECT_EQ(ReadBack(reader.get(), small), absl::OkStatus());
  EXPECT_EQ(ReadBack(reader.get(), large), absl::OkStatus());
  EXPECT_EQ(reader->durable_state()->FindName("l").value(), 2u);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(WriteNamed(reader.get(), 3, RandomPayload(3, 10), "n").status));
  EXPECT_TRUE(absl::IsFailedPrecondition(reader->durable_state()->Commit({})));
  EXPECT_TRUE(absl::IsFailedPrecondition(reader->ReserveObjectIds(1).status()));
  reader->Release(large.ticket);
  EXPECT_EQ(reader->Close(), absl::OkStatus());
  EXPECT_EQ(ReadBack(worker.get(), large), absl::OkStatus());
  WriteOne(worker.get(), 4, RandomPayload(4, 200000));
}

TEST(RocksDbDurableStateTest, AReadOnlyOpenNeedsADirectoryOfOurs) {
  TemporaryDirectory directory;
  RocksDbBackendOptions options = SmallRocksDbOptions(directory.path());
  options.read_only = true;
  EXPECT_TRUE(absl::IsNotFound(OpenRocksDbBackend(options).status()));
  options.spill_directory = directory.path() + "/nothing";
  EXPECT_TRUE(absl::IsNotFound(OpenRocksDbBackend(options).status()));
}

TEST(RocksDbDurableStateTest, NothingOfADurableRecordIsLeftWhenItHasGone) {
  for (size_t bytes : {1000, 100000}) {
    TemporaryDirectory directory;
    std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
    const std::string payload = RandomPayload(7, bytes);
    const SpillResult result = WriteNamed(backend.get(), 7, payload, "n");
    ASSERT_TRUE(ContainsBytes(directory.path(), payload.substr(100, 64)));
    ASSERT_EQ(backend->durable_state()->Commit({.unbind = {"n"}, .release = {result.ticket}}),
              absl::OkStatus());
    ASSERT_TRUE(backend->WaitForReclaim(2000));
    EXPECT_TRUE(testing::Eventually(
        [&] { return !ContainsBytes(directory.path(), payload.substr(100, 64)); }));
  }
}

// Follows what is moved, as the store does.
class Follower final : public RelocationListener {
 public:
  bool OnRelocated(uint64_t, SpillTicket from, SpillTicket to) override {
    ++moved;
    if (release_instead != nullptr) {
      // The store deletes the object just now: with the ticket that it knows.
      EXPECT_EQ(release_instead.load()->Commit({.release = {from}}), absl::OkStatus());
      return false;
    }
    (void)to;
    return true;
  }
  std::atomic<int> moved{0};
  std::atomic<DurableState*> release_instead{nullptr};
};

TEST(RocksDbDurableStateTest, DurableRecordsAreCopiedForwardAndFoundAgain) {
  TemporaryDirectory directory;
  constexpr uint64_t kObjects = 160;
  {
    Follower follower;
    std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
    backend->SetRelocationListener(&follower);
    for (uint64_t first = 1; first <= kObjects; first += 20) {
      std::vector<std::string> payloads;
      for (uint64_t i = 0; i < 20; ++i) payloads.push_back(RandomPayload(first + i, 50000));
      DurableChange change;
      for (const Written& object : WriteAll(backend.get(), first, payloads, /*durable=*/true)) {
        if (object.object_id % 10 != 0) change.release.push_back(object.ticket);
      }
      ASSERT_EQ(backend->durable_state()->Commit(change), absl::OkStatus());
    }
    ASSERT_TRUE(backend->WaitForReclaim(10000));
    EXPECT_GT(follower.moved, 0);
    const SpillUsage usage = backend->Usage();
    EXPECT_EQ(usage.live_records, kObjects / 10);
    EXPECT_LE(usage.held_bytes, usage.live_bytes * 7 / 4 + 2 * backend->max_batch_bytes());
  }
  std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
  EXPECT_EQ(backend->Usage().live_records, kObjects / 10);
  for (uint64_t id = 10; id <= kObjects; id += 10) {
    const absl::StatusOr<SpillScanEntry> entry = backend->durable_state()->FindObject(id);
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(ReadBack(backend.get(), {id, RandomPayload(id, 50000), entry->ticket}),
              absl::OkStatus());
  }
}

TEST(RocksDbDurableStateTest, ARecordThatIsDeletedWhileItIsCopiedStaysAway) {
  TemporaryDirectory directory;
  {
    Follower follower;
    std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
    follower.release_instead = backend->durable_state();
    backend->SetRelocationListener(&follower);
    for (uint64_t first = 1; first <= 160; first += 20) {
      std::vector<std::string> payloads;
      for (uint64_t i = 0; i < 20; ++i) payloads.push_back(RandomPayload(first + i, 50000));
      DurableChange change;
      for (const Written& object : WriteAll(backend.get(), first, payloads, /*durable=*/true)) {
        if (object.object_id % 10 != 0) change.release.push_back(object.ticket);
      }
      ASSERT_EQ(backend->durable_state()->Commit(change), absl::OkStatus());
    }
    ASSERT_TRUE(testing::Eventually([&] { return follower.moved > 0; }));
    ASSERT_TRUE(backend->WaitForReclaim(10000));
    EXPECT_EQ(backend->Usage().live_records, 16u - static_cast<uint64_t>(follower.moved));
  }
  std::unique_ptr<SpillBackend> backend = OpenKeep(directory.path());
  uint64_t found = 0;
  EXPECT_EQ(backend->Scan([&](const SpillScanEntry&) { ++found; }), absl::OkStatus());
  EXPECT_LT(found, 16u);
  EXPECT_EQ(backend->Usage().live_records, found);
}

}  // namespace
}  // namespace spillway
