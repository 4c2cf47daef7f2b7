// Gets that call back, prefetches, and gets that promote nothing.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/mutex.h"
#include "spill/fault_backend.h"
#include "store/object_store.h"
#include "store/options.h"
#include "tests/store/held_store.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Operation = FaultBackend::Operation;

// What a store has of its own, once there was an asynchronous get.
constexpr int kAsyncJobs = 2;

// What callbacks brought, and a place to wait for it.
class Results {
 public:
  // For GetAsync: keeps the value, or the error.
  auto Take(int number = 0) {
    return [this, number](const absl::StatusOr<ObjectView<std::string>>& view) {
      MutexLock lock(&mutex_);
      numbers_.push_back(number);
      statuses_.push_back(view.status());
      values_.push_back(view.ok() ? std::string(**view) : "");
      threads_.push_back(std::this_thread::get_id());
      changed_.SignalAll();
    };
  }
  void Await(size_t count) {
    MutexLock lock(&mutex_);
    while (statuses_.size() < count) changed_.Wait(&mutex_);
  }
  size_t count() const {
    MutexLock lock(&mutex_);
    return statuses_.size();
  }
  std::vector<absl::Status> statuses() const {
    MutexLock lock(&mutex_);
    return statuses_;
  }
  std::vector<std::string> values() const {
    MutexLock lock(&mutex_);
    return values_;
  }
  std::vector<int> numbers() const {
    MutexLock lock(&mutex_);
    return numbers_;
  }
  std::vector<std::thread::id> threads() const {
    MutexLock lock(&mutex_);
    return threads_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<int> numbers_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Status> statuses_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> values_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread::id> threads_ ABSL_GUARDED_BY(mutex_);
};

TEST(AsyncTest, WhatIsInMemoryComesAtOnce) {
  HeldStore held;
  auto ref = held.store->Put(std::string("here")).value();
  Results results;
  held.store->GetAsync(ref, results.Take());
  EXPECT_THAT(results.values(), ElementsAre("here"));
  EXPECT_THAT(results.threads(), ElementsAre(std::this_thread::get_id()));
  held.store->GetAsync(ObjectRef<std::string>(), results.Take());
  EXPECT_TRUE(absl::IsInvalidArgument(results.statuses().back()));
  size_t raw_bytes = 0;
  held.store->GetAsync(ref.any(),
                       [&](const absl::StatusOr<RawView>& view) { raw_bytes = view->size(); });
  EXPECT_EQ(raw_bytes, ref.size_bytes());
  EXPECT_EQ(held.store->Stats().pinned_objects, 0u);
}

TEST(AsyncTest, WhatIsColdComesOnAThreadOfTheStore) {
  HeldStore held;
  auto ref = held.PutCold("cold");
  held.faults->Hold(Operation::kRead);
  Results results;
  GetOptions options;
  options.label = "an asynchronous view";
  std::atomic<bool> labelled{false};
  held.store->GetAsync(
      ref.any(),
      [&](const absl::StatusOr<RawView>&) {
        const std::vector<ObjectHolders> holders = held.store->Holders();
        labelled = holders.size() == 1 && holders[0].labels.size() == 1 &&
                   holders[0].labels[0] == options.label;
      },
      options);
  held.faults->WaitUntilHeld(Operation::kRead, 1);
  held.store->GetAsync(ref, results.Take());  // neither of the two has waited
  EXPECT_EQ(results.count(), 0u);
  held.faults->LetGo(Operation::kRead);
  results.Await(1);
  EXPECT_THAT(results.values(), ElementsAre("cold"));
  EXPECT_NE(results.threads()[0], std::this_thread::get_id());
  held.AwaitWaiting(kAsyncJobs);
  EXPECT_TRUE(labelled.load());
  EXPECT_EQ(held.store->Stats().restores, 1u);
  EXPECT_EQ(held.store->Stats().pinned_objects, 0u);
}

TEST(AsyncTest, ACallbackMayUseTheStore) {
  HeldStore held;
  auto first = held.PutCold("first");
  auto second = held.PutCold("second");
  ASSERT_EQ(held.State(first.id()), "Cold");
  Results results;
  held.store->GetAsync(first, [&](const absl::StatusOr<ObjectView<std::string>>& view) {
    EXPECT_EQ(**view, "first");
    EXPECT_EQ(second.Read().value(), "second");
    EXPECT_TRUE(held.store->Put(std::string("third")).ok());
    EXPECT_TRUE(held.store->Delete(first.id()).ok());
    held.store->GetAsync(second, results.Take());
  });
  results.Await(1);
  EXPECT_THAT(results.values(), ElementsAre("second"));
  held.AwaitWaiting(kAsyncJobs);
  EXPECT_FALSE(held.store->Exists(first.id()));
}

TEST(AsyncTest, ManyAreReadTogetherInTheOrderOfTheDisk) {
  HeldStore held;
  std::vector<ObjectRef<std::string>> refs;
  for (uint64_t i = 0; i < 40; ++i) {
    refs.push_back(held.store->Put(BytesOfSeed(10000, i)).value());
    ASSERT_TRUE(held.store->Flush().ok());
  }
  for (const auto& ref : refs) held.MakeCold(ref.id());
  auto slow = held.PutCold("slow");
  // Both threads are busy while the others are asked for, backwards.
  auto slow_too = held.PutCold("slow, too");
  held.faults->Hold(Operation::kRead);
  Results results;
  held.store->GetAsync(slow, [](const auto&) {});
  held.faults->WaitUntilHeld(Operation::kRead, 1);
  held.store->GetAsync(slow_too, [](const auto&) {});
  held.faults->WaitUntilHeld(Operation::kRead, 2);
  for (size_t i = refs.size(); i-- > 0;) {
    held.store->GetAsync(refs[i], results.Take(static_cast<int>(i)));
  }
  held.faults->LetGo(Operation::kRead, 1);
  held.faults->WaitUntilHeld(Operation::kRead, 2);  // one of the first, and all the others
  held.faults->LetGo(Operation::kRead);
  results.Await(refs.size());
  EXPECT_EQ(held.faults->operations(Operation::kRead), 3u);
  for (size_t i = 0; i < refs.size(); ++i) {
    EXPECT_EQ(results.numbers()[i], static_cast<int>(i));
    EXPECT_EQ(results.values()[i], BytesOfSeed(10000, i));
  }
}

TEST(AsyncTest, APendingValueIsWaitedForByNobodysThread) {
  HeldStore held;
  std::vector<Pending<std::string>> pending;
  Results results;
  for (int i = 0; i < 20; ++i) {
    pending.push_back(held.store->MakePending<std::string>().value());
    held.store->GetAsync(pending.back().ref, results.Take(i));
  }
  held.AwaitWaiting(kAsyncJobs);
  EXPECT_EQ(results.count(), 0u);
  ASSERT_TRUE(pending[7].promise.Set(std::string("seven")).ok());
  results.Await(1);
  EXPECT_THAT(results.values(), ElementsAre("seven"));
  pending[8].promise.Fail(absl::AbortedError("no eight"));
  results.Await(2);
  EXPECT_EQ(results.statuses()[1], absl::AbortedError("no eight"));
  ASSERT_TRUE(held.store->Delete(pending[9].ref.id()).ok());
  results.Await(3);
  EXPECT_TRUE(absl::IsNotFound(results.statuses()[2]));
  // The others are told when the store goes.
  held.store = nullptr;
  EXPECT_EQ(results.count(), 20u);
  EXPECT_TRUE(absl::IsUnavailable(results.statuses().back()));
}

TEST(AsyncTest, TheWaitForAValueEndsInTime) {
  HeldStore held;
  auto pending = held.store->MakePending<std::string>().value();
  auto patient = held.store->MakePending<std::string>().value();
  Results results;
  GetOptions options;
  options.wait_for_value_max = absl::Seconds(5);
  held.store->GetAsync(pending.ref, results.Take(1), options);
  held.store->GetAsync(patient.ref, results.Take(2));
  held.AwaitWaiting(kAsyncJobs);
  held.clock.Advance(absl::Seconds(4));
  held.AwaitWaiting(kAsyncJobs);
  EXPECT_EQ(results.count(), 0u);
  held.clock.Advance(absl::Seconds(2));
  results.Await(1);
  EXPECT_THAT(results.numbers(), ElementsAre(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(results.statuses()[0])) << results.statuses()[0];
  ASSERT_TRUE(pending.promise.Set(std::string("late")).ok());  // nobody is called twice
  ASSERT_TRUE(patient.promise.Set(std::string("in time")).ok());
  results.Await(2);
  EXPECT_EQ(results.values()[1], "in time");
}

TEST(AsyncTest, WhatCannotBeReadSaysWhy) {
  HeldStore held;
  auto damaged = held.PutCold("damaged");
  held.faults->Damage(damaged.id().value);
  Results results;
  held.store->GetAsync(damaged, results.Take());
  results.Await(1);
  EXPECT_TRUE(absl::IsDataLoss(results.statuses()[0]));
  auto ref = held.store->Put(std::string("x")).value();
  ASSERT_TRUE(held.store->Delete(ref.id()).ok());
  held.store->GetAsync(ref, results.Take());
  results.Await(2);
  EXPECT_TRUE(absl::IsNotFound(results.statuses()[1]));
}

TEST(AsyncTest, TooManyAreRefusedAtOnce) {
  StoreOptions options;
  options.async_gets_max = 3;
  HeldStore held(HeldStore::SpillTier::kMemory, SpillRecovery::kDiscard, options);
  auto pending = held.store->MakePending<std::string>().value();
  Results results;
  for (int i = 0; i < 5; ++i) held.store->GetAsync(pending.ref, results.Take(i));
  EXPECT_THAT(results.numbers(), ElementsAre(3, 4));
  EXPECT_TRUE(absl::IsResourceExhausted(results.statuses()[0]));
  EXPECT_THAT(results.statuses()[0].message(), HasSubstr("async_gets_max"));
  ASSERT_TRUE(pending.promise.Set(std::string("x")).ok());
  results.Await(5);
  options.async_gets_max = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(ValidateStoreOptions(options)));
}

TEST(AsyncTest, CloseEndsThemOrLetsThemBe) {
  HeldStore held;
  auto pending = held.store->MakePending<std::string>().value();
  auto cold = held.PutCold("cold");
  Results results;
  held.store->GetAsync(pending.ref, results.Take());
  EXPECT_TRUE(absl::IsFailedPrecondition(held.store->Close()));  // the promise holds a pin
  EXPECT_EQ(results.count(), 0u);
  ASSERT_TRUE(pending.promise.Set(std::string("x")).ok());
  results.Await(1);
  EXPECT_THAT(results.values(), ElementsAre("x"));
  EXPECT_TRUE(held.store->Close().ok());
  held.store->GetAsync(cold, results.Take());
  EXPECT_EQ(results.count(), 2u);
  EXPECT_TRUE(absl::IsUnavailable(results.statuses()[1]));
  EXPECT_EQ(held.store->Prefetch<std::string>({cold}), 0u);
}

TEST(PrefetchTest, BringsColdObjectsIn) {
  HeldStore held;
  std::vector<ObjectRef<std::string>> refs;
  for (uint64_t i = 0; i < 10; ++i) refs.push_back(held.PutCold(BytesOfSeed(10000, i)));
  for (const auto& ref : refs) held.MakeCold(ref.id());
  auto hot = held.store->Put(std::string("hot")).value();
  refs.push_back(hot);
  refs.emplace_back();
  EXPECT_EQ(held.store->Prefetch<std::string>(refs), 10u);
  held.AwaitWaiting(kAsyncJobs);
  const StoreStats stats = held.store->Stats();
  EXPECT_EQ(stats.restores, 10u);
  EXPECT_EQ(stats.pinned_objects, 0u);
  for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(*refs[i].Get().value(), BytesOfSeed(10000, i));
  EXPECT_EQ(held.store->Stats().restores, 10u);
  EXPECT_EQ(held.store->Prefetch<std::string>(refs), 0u);  // nothing to do
  EXPECT_EQ(held.store->Prefetch(absl::Span<const AnyRef>()), 0u);
}

TEST(PrefetchTest, StaysWithinAQuarterOfTheLimit) {
  HeldStore held;
  std::vector<ObjectRef<std::string>> refs;
  for (uint64_t i = 0; i < 12; ++i) refs.push_back(held.PutCold(BytesOfSeed(1 << 20, i)));
  for (const auto& ref : refs) held.MakeCold(ref.id());
  held.faults->Hold(Operation::kRead);
  const size_t taken = held.store->Prefetch<std::string>(refs);
  EXPECT_GT(taken, 1u);
  EXPECT_LE(taken, 4u);  // of 16 MiB
  EXPECT_EQ(held.store->Prefetch<std::string>(refs), 0u);
  held.faults->LetGo(Operation::kRead);
  held.AwaitWaiting(kAsyncJobs);
  EXPECT_EQ(held.store->Stats().restores, taken);
  EXPECT_GT(held.store->Prefetch<std::string>(refs), 0u);  // and so on
}

TEST(PrefetchTest, WithoutRoomItIsLeftOut) {
  HeldStore held;
  auto cold = held.PutCold(BytesOfSeed(1 << 20, 1));
  held.FillWithPinned();
  const uint64_t waits = held.store->Stats().waits;
  EXPECT_EQ(held.store->Prefetch<std::string>({cold}), 1u);
  held.AwaitWaiting(kAsyncJobs);
  EXPECT_EQ(held.State(cold.id()), "Cold");
  EXPECT_EQ(held.store->Stats().waits, waits);  // nor does it wait for some
}

TEST(PassingTest, AColdObjectStaysColdAndHotOnesHot) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(1 << 20, 1);
  auto cold = held.PutCold(bytes);
  auto hot = held.store->Put(BytesOfSeed(1 << 20, 2)).value();
  const uint64_t payload = held.store->Stats().memory.payload_bytes;
  GetOptions options;
  options.promote = false;
  {
    auto view = cold.Get(options).value();
    EXPECT_EQ(*view, bytes);
    EXPECT_EQ(view.id(), cold.id());
    EXPECT_EQ(held.State(cold.id()), "Cold");
    EXPECT_GE(held.store->Stats().memory.payload_bytes, payload + bytes.size());  // in the budget
    EXPECT_EQ(held.store->Stats().memory.payload_bytes, payload + cold.size_bytes());
    EXPECT_TRUE(absl::IsFailedPrecondition(held.store->Close()));
    ASSERT_TRUE(held.store->Delete(cold.id()).ok());
    EXPECT_EQ(*view, bytes);
  }
  StoreStats stats = held.store->Stats();
  EXPECT_EQ(stats.memory.payload_bytes, payload);
  EXPECT_EQ(stats.restores, 0u);
  EXPECT_EQ(stats.misses_passing, 1u);
  EXPECT_EQ(stats.dropped_clean, 1u);  // when it was made cold
  EXPECT_EQ(held.State(hot.id()), "Hot");
  EXPECT_EQ(stats.objects, 2u);  // the deleted one's ref is still there
  // What is in memory is read where it is.
  EXPECT_EQ(*hot.Get(options).value(), BytesOfSeed(1 << 20, 2));
  EXPECT_EQ(held.store->Stats().misses_passing, 1u);
}

TEST(PassingTest, AScanOfAllThatIsColdLeavesTheHotTierAsItIs) {
  HeldStore held;
  std::vector<ObjectRef<std::string>> cold, hot;
  for (uint64_t i = 0; i < 24; ++i) cold.push_back(held.PutCold(BytesOfSeed(1 << 20, i)));
  for (const auto& ref : cold) held.MakeCold(ref.id());
  // Half of the memory is in use.
  for (uint64_t i = 0; i < 7; ++i) {
    hot.push_back(held.store->Put(BytesOfSeed(1 << 20, 100 + i)).value());
  }
  GetOptions options;
  options.promote = false;
  for (uint64_t i = 0; i < cold.size(); ++i) {
    EXPECT_EQ(*held.store->Get<std::string>(cold[i].id(), options).value(),
              BytesOfSeed(1 << 20, i));
    EXPECT_EQ(cold[i].any().GetRaw(options)->size(), cold[i].size_bytes());
  }
  auto many = held.store->GetMany<std::string>(absl::MakeSpan(cold).subspan(0, 3), options);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(**many[i], BytesOfSeed(1 << 20, i));
  Results results;
  held.store->GetAsync(cold[5], results.Take(), options);
  results.Await(1);
  EXPECT_EQ(results.values()[0], BytesOfSeed(1 << 20, 5));
  for (const auto& ref : hot) EXPECT_EQ(held.State(ref.id()), "Hot");
  for (const auto& ref : cold) EXPECT_EQ(held.State(ref.id()), "Cold");
  EXPECT_EQ(held.store->Stats().restores, 0u);
}

TEST(PassingTest, WithoutFreeMemoryWhatIsOnItsWayOutGoes) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(1 << 20, 1);
  auto cold = held.PutCold(bytes);
  std::vector<ObjectRef<std::string>> clean;
  PutOptions at_once;
  at_once.wait_for_room_max = absl::ZeroDuration();
  for (;;) {
    auto ref = held.store->Put(BytesOfSeed(1 << 20, clean.size()), at_once);
    if (!ref.ok()) break;
    clean.push_back(*std::move(ref));
    if (held.store->Stats().memory_used_bytes > 14 * kMiB) break;
  }
  ASSERT_TRUE(held.store->Flush().ok());
  GetOptions options;
  options.promote = false;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(*cold.Get(options).value(), bytes);
  EXPECT_EQ(held.State(cold.id()), "Cold");
  // With pinned ones alone there is no room, and the error says so.
  clean.clear();
  held.FillWithPinned();
  options.wait_for_room_max = absl::ZeroDuration();
  const absl::Status refused = cold.Get(options).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
}

TEST(PassingTest, FailuresAreThoseOfAnyGet) {
  HeldStore held;
  auto cold = held.PutCold("x");
  GetOptions options;
  options.promote = false;
  held.faults->FailNth(Operation::kRead, 1, absl::InternalError("planted"));
  EXPECT_EQ(*cold.Get(options).value(), "x");  // tried again, as a restore
  held.MakeCold(cold.id());
  held.faults->Damage(cold.id().value);
  EXPECT_TRUE(absl::IsDataLoss(cold.Get(options).status()));
  EXPECT_EQ(held.store->Stats().pinned_objects, 0u);
  EXPECT_EQ(held.store->Stats().objects, 1u);
  auto pending = held.store->MakePending<std::string>().value();
  options.wait_for_value_max = absl::ZeroDuration();
  EXPECT_TRUE(absl::IsDeadlineExceeded(pending.ref.Get(options).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ObjectRef<std::string>().Get(options).status()));
}

}  // namespace
}  // namespace spillway
