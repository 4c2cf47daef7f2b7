#include "store/object_store.h"

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "glog/logging.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/memory_backend.h"
#include "store/options.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<ObjectStore> OpenWithMemoryBackend(uint64_t memory_limit_bytes = 32 * kMiB) {
  StoreOptions options;
  options.memory_limit_bytes = memory_limit_bytes;
  auto store = ObjectStore::Open(options, NewMemoryBackend());
  CHECK(store.ok()) << store.status();
  return *std::move(store);
}

std::unique_ptr<ObjectStore> OpenMemoryOnly(uint64_t memory_limit_bytes = 16 * kMiB) {
  StoreOptions options;
  options.memory_limit_bytes = memory_limit_bytes;
  auto store = ObjectStore::Open(options, nullptr);
  CHECK(store.ok()) << store.status();
  return *std::move(store);
}

// Bytes that tell which object they belong to.
std::string Bytes(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
  for (char& c : bytes) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>(x);
  }
  return bytes;
}

void ExpectMemorySums(const StoreStats& stats) {
  const auto& m = stats.memory;
  EXPECT_EQ(m.payload_bytes + m.rounding_bytes + m.fragmentation_bytes + m.entries_bytes +
                m.index_bytes + m.policy_bytes + m.buffers_bytes + m.backend_bytes + m.other_bytes,
            stats.memory_used_bytes);
  EXPECT_LE(stats.memory_used_bytes, stats.memory_limit_bytes);
}

TEST(ObjectStoreTest, PutThenGetYieldsTheValueWithoutACopy) {
  auto store = OpenWithMemoryBackend();
  const std::vector<double> values = {1.5, -2.5, 3.25};
  ObjectRef<std::vector<double>> ref = store->Put(values).value();
  ObjectView<std::vector<double>> view = ref.Get().value();
  EXPECT_THAT(*view, ElementsAre(1.5, -2.5, 3.25));
  EXPECT_EQ(ref.Read().value(), values);
  EXPECT_EQ(view->data(), ref.Get().value()->data());
}

TEST(ObjectStoreTest, ScalarsStringsAndLiterals) {
  auto store = OpenWithMemoryBackend();
  EXPECT_EQ(*store->Put(42).value().Get().value(), 42);
  EXPECT_EQ(*store->Put("literal").value().Get().value(), "literal");
  EXPECT_EQ(store->Put(std::string("a\0b", 3)).value().Read().value(), std::string("a\0b", 3));
}

TEST(ObjectStoreTest, LastRefGoneDeletesTheObjectAndGivesItsMemoryBack) {
  auto store = OpenWithMemoryBackend();
  const StoreStats before = store->Stats();
  ObjectId id;
  {
    auto ref = store->Put(Bytes(1 << 20, 1)).value();
    auto copy = ref;
    id = copy.id();
    EXPECT_TRUE(store->Exists(id));
  }
  EXPECT_FALSE(store->Exists(id));
  const StoreStats after = store->Stats();
  EXPECT_EQ(after.memory.payload_bytes, before.memory.payload_bytes);
  EXPECT_EQ(after.objects, 0u);
  ExpectMemorySums(after);
}

TEST(ObjectStoreTest, AViewOutlivesTheLastRef) {
  auto store = OpenWithMemoryBackend();
  const std::string bytes = Bytes(100000, 2);
  auto ref = store->Put(bytes).value();
  auto view = ref.Get().value();
  ref = {};
  EXPECT_EQ(*view, bytes);
  EXPECT_GT(store->Stats().memory.payload_bytes, 100000u);
  view = {};
  EXPECT_EQ(store->Stats().memory.payload_bytes, 0u);
}

TEST(ObjectStoreTest, GetByIdChecksTheType) {
  auto store = OpenWithMemoryBackend();
  auto ref = store->Put(std::vector<int32_t>{1, 2, 3}).value();
  EXPECT_THAT(*store->Get<std::vector<int32_t>>(ref.id()).value(), ElementsAre(1, 2, 3));
  const absl::Status status = store->Get<std::string>(ref.id()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("vector<int32>"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("string"));
  EXPECT_EQ(store->Get<std::string>(ObjectId{999999}).status().code(), absl::StatusCode::kNotFound);
}

TEST(ObjectStoreTest, MoreThanMemoryComesBackBitForBit) {
  auto store = OpenWithMemoryBackend(16 * kMiB);
  std::vector<ObjectRef<std::string>> refs;
  for (int i = 0; i < 600; ++i) {
    auto ref = store->Put(Bytes(100000 + i, i));
    ASSERT_TRUE(ref.ok()) << ref.status();
    refs.push_back(*std::move(ref));
  }
  for (int i = 0; i < 600; ++i) {
    auto view = refs[i].Get();
    ASSERT_TRUE(view.ok()) << view.status();
    ASSERT_EQ(**view, Bytes(100000 + i, i)) << i;
  }
  const StoreStats stats = store->Stats();
  EXPECT_GT(stats.restores, 0u);
  EXPECT_GT(stats.spills, 0u);
  EXPECT_LE(stats.memory_used_bytes_peak, stats.memory_limit_bytes);
  EXPECT_EQ(stats.hot_objects + stats.clean_objects + stats.cold_objects, 600u);
  ExpectMemorySums(stats);
}

TEST(ObjectStoreTest, GetManyPinsAllOfThem) {
  auto store = OpenWithMemoryBackend(16 * kMiB);
  std::vector<ObjectRef<std::string>> refs;
  for (int i = 0; i < 400; ++i) refs.push_back(store->Put(Bytes(100000, i)).value());
  const std::vector<ObjectRef<std::string>> some(refs.begin(), refs.begin() + 50);
  auto views = store->GetMany<std::string>(some);
  ASSERT_EQ(views.size(), 50u);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(views[i].ok()) << views[i].status();
    EXPECT_EQ(**views[i], Bytes(100000, i));
  }
}

TEST(ObjectStoreTest, DeleteIsForceAndViewsStayValid) {
  auto store = OpenWithMemoryBackend();
  const std::string bytes = Bytes(5000, 3);
  auto ref = store->Put(bytes).value();
  auto view = ref.Get().value();
  ASSERT_TRUE(store->Delete(ref.id()).ok());
  EXPECT_EQ(*view, bytes);
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store->Delete(ref.id()).code(), absl::StatusCode::kNotFound);
}

TEST(ObjectStoreTest, KeepHoldsAnObjectUntilDelete) {
  auto store = OpenWithMemoryBackend();
  PutOptions options;
  options.keep = true;
  const ObjectId id = store->Put("kept", options).value().id();
  EXPECT_EQ(*store->Get<std::string>(id).value(), "kept");
  ASSERT_TRUE(store->Delete(id).ok());
  EXPECT_FALSE(store->Exists(id));
  EXPECT_EQ(store->Stats().objects, 0u);
}

TEST(ObjectStoreTest, ContainersKeepWhatTheyContainAndReleaseALongChainWithoutRecursion) {
  auto store = OpenWithMemoryBackend(64 * kMiB);
  constexpr int kLength = 100000;
  ObjectRef<int> last = store->Put(0).value();
  const ObjectId first_id = last.id();
  for (int i = 1; i < kLength; ++i) {
    const std::vector<AnyRef> contained = {last.any()};
    PutOptions options;
    options.contains = contained;
    last = store->Put(i, options).value();
  }
  EXPECT_TRUE(store->Exists(first_id));
  last = {};
  EXPECT_FALSE(store->Exists(first_id));
  EXPECT_EQ(store->Stats().objects, 0u);
}

TEST(ObjectStoreTest, PinAndUnpinAreCounted) {
  auto store = OpenWithMemoryBackend();
  auto ref = store->Put(7).value();
  EXPECT_EQ(store->Unpin(ref.id()).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(store->Pin(ref.id()).ok());
  ASSERT_TRUE(store->Pin(ref.id()).ok());
  EXPECT_EQ(store->Metadata(ref.id())->pins, 2u);
  ASSERT_TRUE(store->Unpin(ref.id()).ok());
  ASSERT_TRUE(store->Unpin(ref.id()).ok());
  EXPECT_EQ(store->Unpin(ref.id()).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ObjectStoreTest, CreateWriteSeal) {
  auto store = OpenWithMemoryBackend();
  ObjectBuilder builder = store->Create(1000).value();
  ASSERT_EQ(builder.data().size(), 1000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(builder.data().data()) % 64, 0u);
  std::memset(builder.data().data(), 'x', 1000);
  ObjectRef<RawBytes> ref = builder.Seal().value();
  EXPECT_EQ(builder.Seal().status().code(), absl::StatusCode::kFailedPrecondition);
  const auto view = ref.Get().value();
  EXPECT_EQ(std::string_view(view->data(), view->size()), std::string(1000, 'x'));
  { ObjectBuilder dropped = store->Create(100000).value(); }
  EXPECT_EQ(store->Stats().objects, 1u);
}

TEST(ObjectStoreTest, MemoryOnlyStoreRefusesWhatDoesNotFitAtOnce) {
  auto store = OpenMemoryOnly();
  std::vector<ObjectRef<std::string>> refs;
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    auto ref = store->Put(Bytes(100000, i));
    status = ref.status();
    if (ref.ok()) refs.push_back(*std::move(ref));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no spill directory"));
  EXPECT_GT(refs.size(), 130u);  // most of the 16 MiB
  refs.clear();
  EXPECT_TRUE(store->Put(Bytes(100000, 0)).ok());
}

TEST(ObjectStoreTest, DroppableObjectsMakeRoomAndSaySo) {
  auto store = OpenMemoryOnly();
  PutOptions droppable;
  droppable.on_evict = OnEvict::kDrop;
  std::vector<ObjectRef<std::string>> refs;
  for (int i = 0; i < 500; ++i) {
    auto ref = store->Put(Bytes(100000, i), droppable);
    ASSERT_TRUE(ref.ok()) << ref.status();
    refs.push_back(*std::move(ref));
  }
  const absl::Status status = refs[0].Get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("dropped"));
  EXPECT_TRUE(refs.back().Get().ok());
  EXPECT_GT(store->Stats().dropped_lossy, 300u);
}

TEST(ObjectStoreTest, AnObjectLargerThanTheLimitIsRefusedWithTheLargestSize) {
  auto store = OpenWithMemoryBackend(16 * kMiB);
  const absl::Status status = store->Create(17 * kMiB).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("largest"));
  EXPECT_TRUE(store->Create(store->Stats().max_object_bytes).ok());
}

TEST(ObjectStoreTest, PinnedMemoryRefusesAPutAfterItsDeadlineAndNamesTheHolders) {
  auto store = OpenWithMemoryBackend(16 * kMiB);
  std::vector<ObjectRef<std::string>> refs;
  std::vector<ObjectView<std::string>> views;
  absl::Status status;
  PutOptions options;
  options.wait_for_room_max = absl::Milliseconds(50);
  for (int i = 0; i < 100 && status.ok(); ++i) {
    auto ref = store->Put(Bytes(1000000, i), options);
    status = ref.status();
    if (!ref.ok()) break;
    views.push_back(ref->Get().value());
    refs.push_back(*std::move(ref));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("largest pinned: object "));
  views.clear();
  EXPECT_TRUE(store->Put(Bytes(1000000, 0), options).ok());
}

TEST(ObjectStoreTest, CloseWithLiveViewsIsRefusedAndRefsOutliveTheStore) {
  auto store = OpenWithMemoryBackend();
  auto ref = store->Put("outlives").value();
  auto view = ref.Get().value();
  const absl::Status status = store->Close();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 objects are pinned"));
  EXPECT_TRUE(store->Put("still open").ok());
  store.reset();
  EXPECT_EQ(*view, "outlives");
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kUnavailable);
  view = {};
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kUnavailable);
}

TEST(ObjectStoreTest, AfterCloseEverythingIsUnavailable) {
  auto store = OpenWithMemoryBackend();
  auto ref = store->Put(1).value();
  ASSERT_TRUE(store->Close().ok());
  ASSERT_TRUE(store->Close().ok());
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store->Put(2).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store->GetRaw(ref.id()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(ObjectStoreTest, FlushMakesEverythingClean) {
  auto store = OpenWithMemoryBackend();
  std::vector<ObjectRef<std::string>> refs;
  for (int i = 0; i < 50; ++i) refs.push_back(store->Put(Bytes(10000, i)).value());
  ASSERT_TRUE(store->Flush().ok());
  EXPECT_EQ(store->Stats().clean_objects, 50u);
  EXPECT_EQ(store->Stats().hot_objects, 0u);
}

TEST(ObjectStoreTest, TheLimitCanBeLoweredAndRaised) {
  auto store = OpenWithMemoryBackend(64 * kMiB);
  std::vector<ObjectRef<std::string>> refs;
  for (int i = 0; i < 400; ++i) refs.push_back(store->Put(Bytes(100000, i)).value());
  ASSERT_TRUE(store->SetMemoryLimit(16 * kMiB).ok());
  ExpectMemorySums(store->Stats());
  EXPECT_LE(store->Stats().memory_used_bytes, 16 * kMiB);
  ASSERT_TRUE(store->SetMemoryLimit(64 * kMiB).ok());
  for (int i = 0; i < 400; ++i) ASSERT_EQ(*refs[i].Get().value(), Bytes(100000, i));
}

TEST(ObjectStoreTest, EveryPolicyKeepsWhatItIsGiven) {
  for (const char* policy : {"lru", "fifo", "lfu", "sieve", "s3fifo", "gdsf", "cost"}) {
    StoreOptions options;
    options.memory_limit_bytes = 16 * kMiB;
    options.eviction_policy = policy;
    auto store = ObjectStore::Open(options, NewMemoryBackend()).value();
    std::vector<ObjectRef<std::string>> refs;
    for (int i = 0; i < 3000; ++i) {
      refs.push_back(store->Put(Bytes(20000, i)).value());
      ASSERT_TRUE(refs[i / 2].Get().ok()) << policy;
    }
    for (int i = 0; i < 3000; ++i) ASSERT_EQ(*refs[i].Get().value(), Bytes(20000, i)) << policy;
  }
}

TEST(ObjectStoreDeathTest, AViewThatOutlivesItsPinShowsUnderTheAddressSanitizer) {
#ifndef SPILLWAY_ASAN
  GTEST_SKIP() << "bytes without a pin are poisoned in builds with the address sanitizer";
#else
  auto store = OpenWithMemoryBackend(16 * kMiB);
  ObjectRef<std::string> ref = store->Put(std::string(1000, 'x')).value();
  auto view = std::make_unique<ObjectView<std::string>>(ref.Get().value());
  ObjectView<std::string> other = ref.Get().value();
  const char* byte = (**view).data() + 500;
  view.reset();
  EXPECT_EQ(*byte, 'x');  // the other view's pin keeps it
  other = {};
  EXPECT_DEATH(LOG(INFO) << *const_cast<const volatile char*>(byte), "use-after-poison");
  EXPECT_EQ(ref.Read().value(), std::string(1000, 'x'));
#endif
}

TEST(ObjectStoreTest, ZeroSizeAndManySmallObjects) {
  auto store = OpenWithMemoryBackend(16 * kMiB);
  auto empty = store->Create(0).value().Seal().value();
  EXPECT_EQ(empty.Get().value()->size(), 0u);
  std::vector<ObjectRef<int>> refs;
  for (int i = 0; i < 20000; ++i) refs.push_back(store->Put(i).value());
  for (int i = 0; i < 20000; ++i) ASSERT_EQ(*refs[i].Get().value(), i);
  ExpectMemorySums(store->Stats());
}

}  // namespace
}  // namespace spillway
