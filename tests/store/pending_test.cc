// Objects whose value is still to come, hints, holders, and FlatBuffers built in place.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "store/options.h"
#include "store/wait_hook.h"
#include "tests/store/scene_generated.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<ObjectStore> Open(uint64_t memory_limit_bytes = 32 * kMiB) {
  StoreOptions options;
  options.memory_limit_bytes = memory_limit_bytes;
  return ObjectStore::Open(options, NewMemoryBackend()).value();
}

TEST(PendingTest, AGetWaitsForTheValue) {
  auto store = Open();
  Pending<int> pending = store->MakePending<int>().value();
  EXPECT_FALSE(pending.ref.ready());
  std::thread reader([ref = pending.ref] { EXPECT_EQ(*ref.Get().value(), 42); });
  ASSERT_TRUE(pending.promise.Set(42).ok());
  reader.join();
  EXPECT_TRUE(pending.ref.ready());
  EXPECT_EQ(pending.promise.Set(43).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(PendingTest, AGetGivesUpAtItsDeadline) {
  auto store = Open();
  Pending<int> pending = store->MakePending<int>().value();
  GetOptions options;
  options.wait_for_value_max = absl::ZeroDuration();
  EXPECT_EQ(pending.ref.Get(options).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(PendingTest, AFailureReachesEverybody) {
  auto store = Open();
  Pending<std::string> pending = store->MakePending<std::string>().value();
  pending.promise.Fail(absl::InternalError("no result"));
  EXPECT_EQ(pending.ref.Get().status(), absl::InternalError("no result"));
  EXPECT_EQ(store->Get<std::string>(pending.ref.id()).status(), absl::InternalError("no result"));
  EXPECT_TRUE(pending.ref.ready());
}

TEST(PendingTest, AnUnkeptPromiseIsCancelled) {
  auto store = Open();
  ObjectRef<int> ref = store->MakePending<int>().value().ref;
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kCancelled);
}

TEST(PendingTest, CallbacksComeOnceWhenReadyFailedOrDeleted) {
  auto store = Open();
  std::atomic<int> calls{0};
  Pending<int> a = store->MakePending<int>().value();
  a.ref.OnReady([&] { ++calls; });
  a.ref.OnReady([&] { ++calls; });
  EXPECT_EQ(calls.load(), 0);
  ASSERT_TRUE(a.promise.Set(1).ok());
  EXPECT_EQ(calls.load(), 2);
  a.ref.OnReady([&] { ++calls; });
  EXPECT_EQ(calls.load(), 3);
  Pending<int> b = store->MakePending<int>().value();
  b.ref.OnReady([&] { ++calls; });
  ASSERT_TRUE(store->Delete(b.ref.id()).ok());
  EXPECT_EQ(calls.load(), 4);
  EXPECT_EQ(b.promise.Set(1).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(b.ref.Get().status().code(), absl::StatusCode::kNotFound);
}

TEST(PendingTest, WaitCountsWhatIsReady) {
  auto store = Open();
  std::vector<Pending<int>> pending;
  std::vector<AnyRef> refs;
  for (int i = 0; i < 4; ++i) {
    pending.push_back(store->MakePending<int>().value());
    refs.push_back(pending.back().ref.any());
  }
  EXPECT_THAT(store->Wait(refs, 1, absl::ZeroDuration()), ElementsAre(false, false, false, false));
  ASSERT_TRUE(pending[2].promise.Set(2).ok());
  EXPECT_THAT(store->Wait(refs, 1, absl::InfiniteDuration()),
              ElementsAre(false, false, true, false));
  std::thread keeper([&] {
    for (int i : {0, 1, 3}) ASSERT_TRUE(pending[i].promise.Set(i).ok());
  });
  EXPECT_THAT(store->Wait(refs, 4, absl::InfiniteDuration()), ElementsAre(true, true, true, true));
  keeper.join();
}

TEST(PendingTest, DroppingTheRefBeforeTheValueComesLeaksNothing) {
  auto store = Open();
  Promise<std::string> promise = std::move(store->MakePending<std::string>().value().promise);
  ASSERT_TRUE(promise.Set("nobody wants it").ok());
  EXPECT_EQ(store->Stats().objects, 0u);
  EXPECT_EQ(store->Stats().memory.payload_bytes, 0u);
}

TEST(PendingTest, CloseIsRefusedWhileAPromiseLives) {
  auto store = Open();
  Pending<int> pending = store->MakePending<int>().value();
  EXPECT_EQ(store->Close().code(), absl::StatusCode::kFailedPrecondition);
  pending.promise = {};
  EXPECT_TRUE(store->Close().ok());
}

TEST(HintTest, WhatIsNeededSoonStaysAndWhatNobodyNeedsLeavesFirst) {
  auto store = Open(16 * kMiB);
  const std::string bytes(100000, 'x');
  ObjectRef<std::string> needed = store->Put(bytes).value();
  needed.Hint(PolicyHint::kNeededSoon);
  std::vector<ObjectRef<std::string>> others;
  for (int i = 0; i < 60; ++i) others.push_back(store->Put(bytes).value());
  ASSERT_TRUE(store->Flush().ok());
  others.back().Hint(PolicyHint::kNotNeeded);
  const ObjectId first_out = others.back().id();
  for (int i = 0; i < 150; ++i) others.push_back(store->Put(bytes).value());
  EXPECT_EQ(store->Metadata(first_out)->state, "Cold");
  for (int i = 0; i < 200; ++i) others.push_back(store->Put(bytes).value());
  EXPECT_NE(store->Metadata(needed.id())->state, "Cold");
}

TEST(HoldersTest, SayWhyAnObjectIsStillHere) {
  auto store = Open();
  ObjectRef<std::string> big = store->Put(std::string(1000000, 'b')).value();
  PutOptions options;
  const std::vector<AnyRef> contained = {big.any()};
  options.contains = contained;
  options.keep = true;
  ObjectRef<int> container = store->Put(1, options).value();
  GetOptions get;
  get.label = "the test's view";
  auto view = big.Get(get).value();
  ASSERT_TRUE(store->Pin(big.id()).ok());
  std::vector<ObjectHolders> holders = store->Holders(10);
  ASSERT_EQ(holders.size(), 2u);
  EXPECT_EQ(holders[0].id, big.id());
  EXPECT_EQ(holders[0].refs, 3u);
  EXPECT_EQ(holders[0].container_refs, 1u);
  EXPECT_EQ(holders[0].pins, 1u);
  EXPECT_EQ(holders[0].explicit_pins, 1u);
  EXPECT_THAT(holders[0].labels, ElementsAre("the test's view"));
  EXPECT_TRUE(holders[1].kept);
  view = {};
  EXPECT_TRUE(store->Holders(1)[0].labels.empty());
}

TEST(BuildTest, AFlatBufferIsBuiltInPlaceWhateverTheHint) {
  auto store = Open();
  for (const uint64_t hint : {0, 100, 8500, 1000000}) {
    BuildOptions options;
    options.size_hint_bytes = hint;
    auto ref = store->Build<test::Scene>(
        [](flatbuffers::FlatBufferBuilder& builder) {
          const auto name = builder.CreateString("a scene");
          const auto points = builder.CreateVector(std::vector<double>(1000, 0.5));
          return test::CreateScene(builder, name, points);
        },
        options);
    ASSERT_TRUE(ref.ok()) << ref.status();
    auto view = ref->Get().value();
    EXPECT_EQ(view->name()->str(), "a scene");
    ASSERT_EQ(view->points()->size(), 1000u);
    EXPECT_EQ(view->points()->Get(999), 0.5);
    EXPECT_TRUE(Codec<test::Scene>::Verify(view.raw().bytes()).ok());
    ASSERT_TRUE(store->Flush().ok());
  }
  EXPECT_EQ(store->Stats().memory.payload_bytes, 0u);
}

TEST(BuildTest, ABufferThatDoesNotFitIsRefusedAndLeavesNothing) {
  auto store = Open(16 * kMiB);
  auto ref = store->Build<test::Scene>([](flatbuffers::FlatBufferBuilder& builder) {
    const auto points = builder.CreateVector(std::vector<double>(4 << 20, 0.5));
    return test::CreateScene(builder, 0, points);
  });
  EXPECT_EQ(ref.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(store->Stats().objects, 0u);
  EXPECT_EQ(store->Stats().memory.payload_bytes, 0u);
}

TEST(BuildTest, PutAsTakesAFinishedBuffer) {
  auto store = Open();
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(test::CreateScene(builder, builder.CreateString("by hand")));
  auto ref = store->PutAs<test::Scene>(builder).value();
  EXPECT_EQ(ref.Get().value()->name()->str(), "by hand");
}

TEST(ContainedRefTest, RefsInsideValuesKeepTheirObjectsAndComeBack) {
  auto store = Open();
  using Refs = std::vector<ObjectRef<std::string>>;
  ObjectRef<std::string> inner = store->Put("inside").value();
  const ObjectId inner_id = inner.id();
  ObjectRef<Refs> outer = store->Put(Refs{inner, inner}).value();
  inner = {};
  EXPECT_TRUE(store->Exists(inner_id));
  Refs read = outer.Read().value();
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(*read[1].Get().value(), "inside");
  ASSERT_TRUE(store->Delete(inner_id).ok());
  EXPECT_EQ(outer.Read().value()[0].Get().status().code(), absl::StatusCode::kNotFound);
  read.clear();
  outer = {};
  EXPECT_EQ(store->Stats().objects, 0u);
}

TEST(ContainedRefTest, AnotherStoresRefsAndDeletedOnesAreRefused) {
  auto store = Open();
  auto other = Open();
  ObjectRef<int> foreign = other->Put(1).value();
  EXPECT_EQ(store->Put(std::vector<ObjectRef<int>>{foreign}).status().code(),
            absl::StatusCode::kInvalidArgument);
  ObjectRef<int> deleted = store->Put(1).value();
  ASSERT_TRUE(store->Delete(deleted.id()).ok());
  EXPECT_EQ(store->Put(std::vector<ObjectRef<int>>{deleted}).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(PutRawTest, BytesFromOutsideAreVerifiedBeforeTheFirstTypedView) {
  auto store = Open();
  const ObjectRef<std::vector<int32_t>> ours = store->Put(std::vector<int32_t>{1, 2, 3}).value();
  const RawView bytes = ours.any().GetRaw().value();
  const AnyRef good = store->PutRaw(bytes.bytes(), bytes.type()).value();
  EXPECT_THAT(*good.As<std::vector<int32_t>>().value().Get().value(), ElementsAre(1, 2, 3));
  std::string damaged(bytes.data(), bytes.size());
  damaged[0] = '\x7f';
  const AnyRef bad = store->PutRaw(damaged, bytes.type()).value();
  EXPECT_EQ(bad.As<std::vector<int32_t>>().value().Get().status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(bad.GetRaw().value().size(), damaged.size());
}

TEST(AnyRefTest, AsChecksTheType) {
  auto store = Open();
  AnyRef any = store->Put(1.5).value().any();
  EXPECT_EQ(*any.As<double>().value().Get().value(), 1.5);
  const absl::Status status = any.As<std::string>().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("double"));
}

TEST(PendingTest, ARefTellsOfAnErrorWithoutAGet) {
  auto store = Open();
  EXPECT_EQ(AnyRef().error().code(), absl::StatusCode::kInvalidArgument);
  Pending<int> failed = store->MakePending<int>().value();
  EXPECT_TRUE(failed.ref.any().error().ok());
  EXPECT_FALSE(failed.ref.any().resident());
  failed.promise.Fail(absl::InternalError("no result"));
  EXPECT_EQ(failed.ref.any().error(), absl::InternalError("no result"));
  ObjectRef<int> value = store->Put(1).value();
  EXPECT_TRUE(value.any().error().ok());
  EXPECT_TRUE(value.any().resident());
  ASSERT_TRUE(store->Delete(value.id()).ok());
  EXPECT_EQ(value.any().error().code(), absl::StatusCode::kNotFound);
}

class KeepingHook final : public WaitHook {
 public:
  explicit KeepingHook(Promise<int> promise) : promise_(std::move(promise)) {}
  absl::Status BeforeWait(absl::Span<const void* const> keys, size_t count, bool unbounded,
                          absl::FunctionRef<bool()> ready) override {
    EXPECT_EQ(keys.size(), 1u);
    EXPECT_EQ(count, 1u);
    unbounded_ = unbounded;
    EXPECT_FALSE(ready());
    if (!promise_) return absl::ResourceExhaustedError("nobody may wait");
    EXPECT_TRUE(promise_.Set(7).ok());
    EXPECT_TRUE(ready());
    return absl::OkStatus();
  }
  void AfterWait() override { ++ended_; }

  Promise<int> promise_;
  bool unbounded_ = false;
  int ended_ = 0;
};

TEST(PendingTest, AThreadsHookIsAskedBeforeItWaits) {
  auto store = Open();
  Pending<int> pending = store->MakePending<int>().value();
  Pending<int> other = store->MakePending<int>().value();
  KeepingHook hook(std::move(pending.promise));
  EXPECT_EQ(SetWaitHook(&hook), nullptr);
  EXPECT_EQ(*pending.ref.Get().value(), 7);
  EXPECT_TRUE(hook.unbounded_);
  EXPECT_EQ(hook.ended_, 1);
  // What is ready is not waited for; a wait that is refused gives its reason.
  EXPECT_EQ(*pending.ref.Get().value(), 7);
  EXPECT_EQ(other.ref.Get().status(), absl::ResourceExhaustedError("nobody may wait"));
  EXPECT_EQ(hook.ended_, 1);
  EXPECT_EQ(SetWaitHook(nullptr), &hook);
}

}  // namespace
}  // namespace spillway
