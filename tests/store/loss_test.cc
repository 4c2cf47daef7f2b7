// Values that are lost and made again: AnyRef::OnLoss.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/object_store.h"
#include "store/promise.h"
#include "tests/store/held_store.h"

namespace spillway {
namespace {

using Operation = FaultBackend::Operation;

// Keeps the promise at once, and remembers why it had to.
struct Maker {
  std::string value;
  std::vector<absl::Status> reasons;

  auto Callback() {
    return [this](const absl::Status& why, AnyPromise promise) {
      reasons.push_back(why);
      EXPECT_TRUE(std::move(promise).As<std::string>()->Set(value).ok());
    };
  }
};

TEST(LossTest, ADroppedValueIsMadeAnewUnderTheSameId) {
  HeldStore held;
  PutOptions droppable;
  droppable.on_evict = OnEvict::kDrop;
  const std::string bytes = BytesOfSeed(100000, 1);
  ObjectRef<std::string> ref = held.store->Put(bytes, droppable).value();
  Maker maker{bytes, {}};
  ref.any().OnLoss(maker.Callback());
  for (size_t times = 1; times <= 3; ++times) {
    held.Squeeze();
    ASSERT_EQ(held.State(ref.id()), "Dropped");
    EXPECT_EQ(*ref.Get().value(), bytes);
    ASSERT_EQ(maker.reasons.size(), times);
    EXPECT_EQ(maker.reasons.back().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(maker.reasons.back().message()), testing::HasSubstr("was dropped"));
    EXPECT_EQ(held.store->Stats().lost, times);
  }
  const ObjectId id = ref.id();
  ref = {};
  EXPECT_FALSE(held.store->Exists(id));
  const StoreStats stats = held.store->Stats();
  EXPECT_EQ(stats.puts, stats.deletes + stats.lost);
  EXPECT_EQ(stats.memory.payload_bytes, 0u);
}

TEST(LossTest, ADamagedValueIsMadeAnewAndSpilledAnew) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 2);
  ObjectRef<std::string> ref = held.PutCold(bytes);
  Maker maker{bytes, {}};
  ref.any().OnLoss(maker.Callback());
  held.faults->HarmNthRead(1, FaultBackend::ReadFault::kDataLoss);
  EXPECT_EQ(*ref.Get().value(), bytes);
  ASSERT_EQ(maker.reasons.size(), 1u);
  EXPECT_EQ(maker.reasons[0].code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(held.State(ref.id()), "Hot");
  // The damaged record is gone, and the new one is as good as any.
  ASSERT_TRUE(held.store->Flush().ok());
  EXPECT_EQ(held.faults->LiveTickets().size(), 1u);
  held.MakeCold(ref.id());
  EXPECT_EQ(*ref.Get().value(), bytes);
  EXPECT_EQ(maker.reasons.size(), 1u);
}

TEST(LossTest, EverybodyWhoWaitsForTheRestoreGetsTheNewValue) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 3);
  ObjectRef<std::string> ref = held.PutCold(bytes);
  std::atomic<int> calls{0};
  AnyPromise kept;
  ref.any().OnLoss([&](const absl::Status&, AnyPromise promise) {
    ++calls;
    kept = std::move(promise);
  });
  held.faults->HarmNthRead(1, FaultBackend::ReadFault::kDataLoss);
  held.faults->Hold(Operation::kRead);
  std::vector<std::thread> readers;
  readers.emplace_back([&] { EXPECT_EQ(*ref.Get().value(), bytes); });
  held.faults->WaitUntilHeld(Operation::kRead, 1);
  readers.emplace_back([&] { EXPECT_EQ(*ref.Get().value(), bytes); });
  readers.emplace_back([&] {
    auto views = held.store->GetMany<std::string>({&ref, 1});
    EXPECT_EQ(**views[0], bytes);
  });
  held.AwaitWaiting(2);
  held.faults->LetGo(Operation::kRead);
  held.AwaitWaiting(3);  // all for the value now
  EXPECT_EQ(held.State(ref.id()), "Pending");
  ASSERT_TRUE(std::move(kept).As<std::string>()->Set(bytes).ok());
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(calls, 1);
}

TEST(LossTest, GetManyMakesAnewWhatItFindsDamaged) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(50000, 4);
  std::vector<ObjectRef<std::string>> refs = {held.PutCold(bytes), held.PutCold(bytes)};
  held.MakeCold(refs[0].id());
  Maker maker{bytes, {}};
  for (const auto& ref : refs) ref.any().OnLoss(maker.Callback());
  held.faults->Damage(refs[1].id().value);
  const auto views = held.store->GetMany<std::string>(refs);
  EXPECT_EQ(**views[0], bytes);
  EXPECT_EQ(**views[1], bytes);
  EXPECT_EQ(maker.reasons.size(), 1u);
}

TEST(LossTest, APromiseThatIsGivenUpFailsTheObject) {
  HeldStore held;
  ObjectRef<std::string> ref = held.PutCold(BytesOfSeed(100000, 5));
  ref.any().OnLoss([&](const absl::Status& why, AnyPromise promise) {
    EXPECT_EQ(promise.id(), ref.id());
    EXPECT_EQ(std::move(promise).As<int>().status().code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(promise);  // still to be kept
    promise.Fail(why);
    EXPECT_EQ(std::move(promise).As<std::string>().status().code(),
              absl::StatusCode::kInvalidArgument);
  });
  held.faults->Damage(ref.id().value);
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(held.State(ref.id()), "Failed");
  EXPECT_TRUE(held.faults->LiveTickets().empty());
}

TEST(LossTest, WithoutACallbackALossIsAnErrorAndTheObjectStays) {
  HeldStore held;
  ObjectRef<std::string> ref = held.PutCold(BytesOfSeed(100000, 6));
  Maker maker;
  ref.any().OnLoss(maker.Callback());
  ref.any().OnLoss(nullptr);
  held.faults->Damage(ref.id().value);
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(held.State(ref.id()), "Cold");
  EXPECT_EQ(held.store->Stats().lost, 0u);
}

TEST(LossTest, AnErrorThatMayPassIsNoLoss) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 7);
  ObjectRef<std::string> ref = held.PutCold(bytes);
  Maker maker;
  ref.any().OnLoss(maker.Callback());
  held.faults->FailNth(Operation::kRead, 1, absl::InternalError("planted"));
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(*ref.Get().value(), bytes);
  EXPECT_TRUE(maker.reasons.empty());
}

TEST(LossTest, AnObjectDeletedWhileItsValueIsMadeAnewIsGone) {
  HeldStore held;
  ObjectRef<std::string> ref = held.PutCold(BytesOfSeed(100000, 8));
  AnyPromise kept;
  ref.any().OnLoss([&](const absl::Status&, AnyPromise promise) { kept = std::move(promise); });
  held.faults->Damage(ref.id().value);
  std::thread reader([&] { EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kNotFound); });
  held.AwaitWaiting(1);
  ASSERT_TRUE(held.store->Delete(ref.id()).ok());
  reader.join();
  auto promise = std::move(kept).As<std::string>();
  ASSERT_TRUE(promise.ok());
  EXPECT_EQ(promise->Set("late").code(), absl::StatusCode::kNotFound);
  promise->Fail(absl::CancelledError("nobody wants it"));
  ref = {};
  EXPECT_EQ(held.store->Stats().objects, 0u);
}

// As the results of a long chain of computations, each of which keeps its input to be done again.
TEST(LossTest, RefsThatCallbacksHoldAreReleasedInConstantStack) {
  HeldStore held;
  ObjectRef<int> last = held.store->Put(0).value();
  constexpr int kLinks = 20000;
  for (int i = 1; i < kLinks; ++i) {
    ObjectRef<int> next = held.store->Put(i).value();
    next.any().OnLoss([input = std::move(last)](const absl::Status&, AnyPromise) {});
    last = std::move(next);
  }
  EXPECT_EQ(held.store->Stats().objects, static_cast<uint64_t>(kLinks));
  last = {};
  EXPECT_EQ(held.store->Stats().objects, 0u);
}

TEST(LossTest, APromisedValueKeepsTheRefsInsideIt) {
  HeldStore held;
  auto pending = held.store->MakePending<std::vector<ObjectRef<std::string>>>().value();
  const ObjectId inner = [&] {
    std::vector<ObjectRef<std::string>> refs = {held.store->Put(std::string("inner")).value()};
    EXPECT_TRUE(pending.promise.Set(refs).ok());
    return refs[0].id();
  }();
  ASSERT_TRUE(held.store->Exists(inner));
  EXPECT_EQ(*pending.ref.Read().value()[0].Get().value(), "inner");
  pending.ref = {};
  EXPECT_FALSE(held.store->Exists(inner));
}

}  // namespace
}  // namespace spillway
