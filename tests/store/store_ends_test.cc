// Ends and edges of the engine: what is left behind, by whom, and who is told.
#include <atomic>
#include <barrier>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/fault_backend.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "store/options.h"
#include "tests/store/held_store.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;
using Operation = FaultBackend::Operation;

#if defined(SPILLWAY_TSAN) || defined(SPILLWAY_ASAN)
constexpr int kRounds = 100;
#else
constexpr int kRounds = 500;
#endif

TEST(StoreEndsTest, PinsByPinGoWithTheLastRef) {
  HeldStore held;
  auto ref = held.store->Put(BytesOfSeed(1000, 1)).value();
  ASSERT_TRUE(held.store->Pin(ref.id()).ok());
  ASSERT_TRUE(held.store->Pin(ref.id()).ok());
  auto view = ref.Get().value();
  ref = {};
  EXPECT_EQ(*view, BytesOfSeed(1000, 1));
  view = {};
  EXPECT_EQ(held.store->Stats().objects, 0u);
  EXPECT_EQ(held.store->Stats().memory.payload_bytes, 0u);
  EXPECT_TRUE(held.store->Close().ok());
}

TEST(StoreEndsTest, PinsByPinGoWithDelete) {
  HeldStore held;
  auto ref = held.store->Put(BytesOfSeed(1000, 1)).value();
  ASSERT_TRUE(held.store->Pin(ref.id()).ok());
  ASSERT_TRUE(held.store->Delete(ref.id()).ok());
  EXPECT_EQ(held.store->Stats().memory.payload_bytes, 0u);
  EXPECT_TRUE(held.store->Close().ok());
}

// The last view and the last ref of a store that is gone, each on a thread of its own: whoever goes
// first must not touch the store's core after the other one has taken it down.
TEST(StoreEndsTest, LastViewVersusLastRefOfAStoreThatIsGone) {
  std::barrier<> together(2);
  std::optional<ObjectRef<int>> ref;
  std::thread other([&] {
    for (int i = 0; i < kRounds; ++i) {
      together.arrive_and_wait();
      ref.reset();
      together.arrive_and_wait();
    }
  });
  StoreOptions options;
  options.memory_limit_bytes = 16 * kMiB;
  for (int i = 0; i < kRounds; ++i) {
    auto store = ObjectStore::Open(options, nullptr).value();
    ref = store->Put(i).value();
    auto view = ref->Get().value();
    store.reset();
    EXPECT_EQ(*view, i);
    together.arrive_and_wait();
    view = {};
    together.arrive_and_wait();
  }
  other.join();
}

TEST(StoreEndsTest, ABuilderOutlivesTheStore) {
  auto held = std::make_unique<HeldStore>();
  auto builder = held->store->Create(100000).value();
  EXPECT_EQ(held->store->Close().code(), absl::StatusCode::kFailedPrecondition);
  held->store.reset();
  ASSERT_EQ(builder.data().size(), 100000u);
  for (char& c : builder.data()) c = 'x';
  EXPECT_EQ(builder.Seal().status().code(), absl::StatusCode::kUnavailable);
}

// A thread_local that is older than the thread's counters ends after them.
TEST(StoreEndsTest, AThreadLocalRefEndsWithItsThread) {
  HeldStore held;
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      static thread_local std::vector<ObjectRef<int>> refs;
      refs.clear();
      for (int j = 0; j < 10; ++j) refs.push_back(held.store->Put(j).value());
      // The last store that this thread used is another one.
      HeldStore another;
      EXPECT_TRUE(another.store->Put(1).ok());
    }).join();
  }
  EXPECT_EQ(held.store->Stats().objects, 0u);
  EXPECT_EQ(held.store->Stats().puts, 200u);
  EXPECT_EQ(held.store->Stats().deletes, 200u);
}

TEST(StoreEndsTest, GetManyOfAnEmptyRefIsInvalidAndOthersAreServed) {
  HeldStore held;
  const std::vector<ObjectRef<int>> refs = {{}, held.store->Put(1).value(), {}};
  const auto views = held.store->GetMany<int>(refs);
  EXPECT_EQ(views[0].status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*views[1].value(), 1);
  EXPECT_EQ(views[2].status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(StoreEndsTest, GetManyOfWhatDoesNotFitTogetherCountsNoRefusals) {
  HeldStore held;
  held.FillWithPinned();
  held.pinned.clear();
  ASSERT_TRUE(held.store->Flush().ok());
  held.Squeeze();
  const uint64_t refused = held.store->Stats().refused_memory;
  const std::vector<ObjectRef<std::string>> some(held.pinned_refs.begin(),
                                                 held.pinned_refs.begin() + 5);
  auto once = held.store->GetMany<std::string>(some);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_EQ(*once[i].value(), BytesOfSeed(1 << 20, i));
  EXPECT_EQ(held.store->Stats().refused_memory, refused);
}

TEST(StoreEndsTest, AMemoryOnlyStoreRefusesWithoutAWait) {
  HeldStore held(HeldStore::SpillTier::kNone);
  std::vector<ObjectRef<std::string>> refs;
  absl::Status status;
  while (status.ok()) {
    // Nobody moves the clock: a wait would never end.
    auto ref = held.store->Put(BytesOfSeed(1 << 20, 1));
    status = ref.status();
    if (ref.ok()) refs.push_back(*std::move(ref));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(held.store->Stats().refused_memory, 1u);
  refs[0].Hint(PolicyHint::kNotNeeded);  // changes nothing: it has nowhere to go
  EXPECT_EQ(held.store->Put(BytesOfSeed(1 << 20, 1)).status().code(),
            absl::StatusCode::kResourceExhausted);
  refs.pop_back();
  EXPECT_TRUE(held.store->Put(BytesOfSeed(1 << 20, 1)).ok());
}

TEST(StoreEndsTest, WhatWasNeverPutIsNotCountedAsDeleted) {
  HeldStore held;
  { auto builder = held.store->Create(1000).value(); }
  { auto pending = held.store->MakePending<int>().value(); }
  EXPECT_EQ(held.store->Stats().deletes, 0u);
  { auto ref = held.store->Put(1).value(); }
  EXPECT_EQ(held.store->Stats().puts, 1u);
  EXPECT_EQ(held.store->Stats().deletes, 1u);
}

// Everything is pinned and clean: there is nothing to write and nothing to drop. The spiller and
// the waiter must not keep waking each other.
TEST(StoreEndsTest, TheSpillerRestsWhileAWaiterCannotBeHelped) {
  HeldStore held;
  held.FillWithPinned();
  ASSERT_TRUE(held.store->Flush().ok());
  std::thread put([&] {
    EXPECT_EQ(held.store->Put(BytesOfSeed(1 << 20, 1)).status().code(),
              absl::StatusCode::kResourceExhausted);
  });
  held.AwaitWaiting(1);
  for (int i = 0; i < 20; ++i) {
    const uint64_t steps = held.executor.steps();
    held.clock.Advance(absl::Milliseconds(20));
    held.AwaitWaiting(1);  // comes to rest again
    EXPECT_LE(held.executor.steps() - steps, 8u);
  }
  held.clock.Advance(absl::Seconds(10));
  put.join();
}

// A flush ends although new objects keep coming: it waits for what was put before it.
TEST(StoreEndsTest, AFlushDoesNotWaitForLaterPuts) {
  HeldStore held;
  auto before = held.store->Put(BytesOfSeed(1000, 1)).value();
  held.faults->Hold(Operation::kWrite);
  std::thread flush([&] { EXPECT_TRUE(held.store->Flush().ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  auto after = held.store->Put(BytesOfSeed(1000, 2)).value();
  held.faults->LetGo(Operation::kWrite);
  flush.join();
  EXPECT_EQ(held.State(before.id()), "Clean");
  EXPECT_EQ(held.State(after.id()), "Hot");
}

// What a job is writing when the flush comes, and then fails to write, is written by the flush.
TEST(StoreEndsTest, AFlushWritesWhatTheSpillerFailsToWrite) {
  HeldStore held;
  held.faults->Hold(Operation::kWrite);
  held.faults->FailNth(Operation::kWrite, 1, absl::InternalError("planted"));
  std::vector<ObjectRef<std::string>> refs;
  for (int i = 0; i < 13; ++i) refs.push_back(held.store->Put(BytesOfSeed(1 << 20, i)).value());
  held.faults->WaitUntilHeld(Operation::kWrite, 1);  // above the watermark
  std::thread flush([&] { EXPECT_TRUE(held.store->Flush().ok()); });
  held.faults->LetGo(Operation::kWrite);
  flush.join();
  for (const auto& ref : refs) EXPECT_NE(held.State(ref.id()), "Hot");
  EXPECT_GE(held.store->Stats().spill_failures, 1u);
}

// Flushes claim objects that droppers have taken from their queues: an object must end in none or
// one queue, whatever comes first. Debug builds check that on every insertion.
TEST(StoreEndsTest, FlushVersusDrop) {
  StoreOptions options;
  options.memory_limit_bytes = 16 * kMiB;
  auto store = ObjectStore::Open(options, NewMemoryBackend()).value();
  std::atomic<bool> done{false};
  std::thread flusher([&] {
    while (!done.load()) EXPECT_TRUE(store->Flush().ok());
  });
  std::vector<ObjectRef<std::string>> refs;
  for (int i = 0; i < kRounds * 4; ++i) {
    refs.push_back(store->Put(BytesOfSeed(50000, i)).value());
    const int at = static_cast<int>(i * 2654435761u % refs.size());
    const auto view = refs[at].Get();
    ASSERT_TRUE(view.ok()) << view.status();
    refs[i / 2].Hint(i % 3 == 0 ? PolicyHint::kNotNeeded : PolicyHint::kNone);
  }
  done.store(true);
  flusher.join();
  for (int i = 0; i < kRounds * 4; ++i) ASSERT_EQ(*refs[i].Get().value(), BytesOfSeed(50000, i));
  refs.clear();
  EXPECT_EQ(store->Stats().objects, 0u);
  EXPECT_TRUE(store->Close().ok());
}

// Statistics, the largest pin holders and holders are asked for while objects come and go.
TEST(StoreEndsTest, NumbersOfABusyStore) {
  StoreOptions options;
  options.memory_limit_bytes = 16 * kMiB;
  auto store = ObjectStore::Open(options, NewMemoryBackend()).value();
  std::atomic<bool> done{false};
  std::thread asks([&] {
    PutOptions at_once;
    at_once.wait_for_room_max = absl::ZeroDuration();
    std::vector<ObjectView<std::string>> views;
    while (!done.load()) {
      const StoreStats stats = store->Stats();
      const auto& memory = stats.memory;
      EXPECT_LE(memory.payload_bytes + memory.rounding_bytes + memory.fragmentation_bytes,
                stats.memory_limit_bytes);
      store->Holders(10);
      auto ref = store->Put(BytesOfSeed(1 << 20, 1), at_once);
      if (ref.ok()) {
        views.push_back(ref->Get().value());
      } else {
        EXPECT_THAT(std::string(ref.status().message()), HasSubstr("pinned"));
        views.clear();
      }
    }
  });
  for (int i = 0; i < kRounds * 4; ++i) {
    auto ref = store->Put(BytesOfSeed(1000 + i % 7 * 1000, i));
    ASSERT_TRUE(ref.ok()) << ref.status();
    EXPECT_EQ(ref->size_bytes(), ref->Get().value().raw().size());
  }
  done.store(true);
  asks.join();
}

}  // namespace
}  // namespace spillway
