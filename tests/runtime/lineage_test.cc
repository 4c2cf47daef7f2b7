// Results that are made again when they are lost.
#include <atomic>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "tests/runtime/test_runtime.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

class LineageTest : public ::testing::TestWithParam<int> {
 protected:
  LineageTest() : runtime_(StartRuntime(GetParam(), {}, 16 * kMiB)) {}

  static TaskOptions Reconstructible(std::string name) {
    TaskOptions options;
    options.name = std::move(name);
    options.reconstructible = true;
    options.on_evict = OnEvict::kDrop;
    return options;
  }

  // Puts until `id` was dropped.
  void DropOut(ObjectId id) {
    for (int i = 0; i < 200; ++i) {
      const auto metadata = runtime_->store()->Metadata(id);
      ASSERT_TRUE(metadata.ok()) << metadata.status();
      if (metadata->state == "Dropped") return;
      fill_.push_back(runtime_->Put(Bytes(1 << 20, 9)).value());
      if (fill_.size() > 20) fill_.clear();
    }
    FAIL() << "the object was not dropped";
  }

  std::unique_ptr<Runtime> runtime_;
  std::vector<ObjectRef<Bytes>> fill_;
};

INSTANTIATE_TEST_SUITE_P(Workers, LineageTest, ::testing::Values(1, 2, 8));

TEST_P(LineageTest, ALostResultIsMadeAgainWithTheSameArguments) {
  std::atomic<int> runs{0};
  auto input = runtime_->Put(uint8_t{7}).value();
  auto ref = runtime_->Submit(
      Reconstructible("fill"),
      [&runs](uint8_t value, const std::string& text) {
        ++runs;
        EXPECT_EQ(text, "kept");
        return Bytes(1 << 20, value);
      },
      input, std::string("kept"));
  const ObjectId input_id = input.id();
  input = {};  // the task keeps it
  ASSERT_TRUE(ref.Get().ok());
  EXPECT_EQ(runs.load(), 1);
  for (int loss = 1; loss <= 2; ++loss) {
    DropOut(ref.id());
    auto view = ref.Get();
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ((**view)[12345], 7);
    EXPECT_EQ(runs.load(), 1 + loss);
  }
  EXPECT_EQ(runtime_->Stats().reconstructions, 2u);
  EXPECT_TRUE(runtime_->store()->Exists(input_id));
  ref = {};
  fill_.clear();
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_FALSE(runtime_->store()->Exists(input_id));  // nobody needs it any more
  EXPECT_EQ(runtime_->store()->Stats().objects, 0u);
}

TEST_P(LineageTest, TheWholeWayIsGoneAgainIfItMust) {
  // Each result needs the one before; all are lost.
  std::vector<ObjectRef<Bytes>> chain;
  chain.push_back(runtime_->Submit(Reconstructible("first"), [] { return Bytes(1 << 20, 1); }));
  for (int i = 1; i < 5; ++i) {
    chain.push_back(runtime_->Submit(
        Reconstructible("next"),
        [](absl::Span<const uint8_t> before) {
          return Bytes(1 << 20, static_cast<uint8_t>(before[0] + 1));
        },
        chain.back()));
  }
  ASSERT_TRUE(chain.back().Get().ok());
  for (const auto& ref : chain) DropOut(ref.id());
  auto middle = runtime_->Submit([](absl::Span<const uint8_t> bytes) { return bytes[1 << 19]; },
                                 chain.back());
  ASSERT_TRUE(middle.Get().ok()) << middle.Get().status();
  EXPECT_EQ(*middle.Get().value(), 5);
}

TEST_P(LineageTest, OnlyWhatWasLostIsReplaced) {
  std::atomic<int> runs{0};
  auto [number, bytes] = runtime_->Submit(Reconstructible("both"), [&runs] {
    ++runs;
    return std::make_tuple(runs.load(), Bytes(1 << 20, static_cast<uint8_t>(runs.load())));
  });
  ASSERT_TRUE(number.Get().ok());
  auto pinned = number.Get().value();  // cannot be dropped
  DropOut(bytes.id());
  EXPECT_EQ((*bytes.Get().value())[0], 2);
  EXPECT_EQ(*number.Get().value(), 1);
  std::vector<ObjectRef<Bytes>> parts =
      runtime_->Submit(NumReturns{3, Reconstructible("parts")}, [&runs] {
        ++runs;
        return std::vector<Bytes>(3, Bytes(1 << 20, static_cast<uint8_t>(runs.load())));
      });
  auto first = parts[0].Get().value();
  ASSERT_TRUE(parts[1].Get().ok());
  DropOut(parts[1].id());
  EXPECT_EQ((*parts[1].Get().value())[0], 4);
  EXPECT_EQ((*first)[0], 3);
}

TEST_P(LineageTest, ItIsBounded) {
  TaskOptions options = Reconstructible("leaky");
  options.max_reconstructions = 1;
  auto ref = runtime_->Submit(options, [] { return Bytes(1 << 20, 1); });
  ASSERT_TRUE(ref.Get().ok());
  DropOut(ref.id());
  ASSERT_TRUE(ref.Get().ok());
  DropOut(ref.id());
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(ref.Get().status().message(), HasSubstr("max_reconstructions"));
  EXPECT_THAT(ref.Get().status().message(), HasSubstr("leaky"));
}

TEST_P(LineageTest, ARunThatFailsIsTheResultsFailure) {
  std::atomic<int> runs{0};
  auto ref = runtime_->Submit(Reconstructible("once"), [&runs]() -> absl::StatusOr<Bytes> {
    if (++runs > 1) return absl::InternalError("not again");
    return Bytes(1 << 20, 1);
  });
  ASSERT_TRUE(ref.Get().ok());
  DropOut(ref.id());
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kInternal);
}

TEST_P(LineageTest, AfterTheRuntimeTheLossStays) {
  StoreOptions store_options;
  store_options.memory_limit_bytes = 16 * kMiB;
  auto store = ObjectStore::Open(store_options, NewMemoryBackend()).value();
  RuntimeOptions options;
  options.workers = GetParam();
  runtime_ = Runtime::Start(options, store.get()).value();
  auto ref = runtime_->Submit(Reconstructible("late"), [] { return Bytes(1 << 20, 1); });
  ASSERT_TRUE(ref.Get().ok());
  DropOut(ref.id());
  runtime_.reset();
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(ref.Get().status().message(), HasSubstr("is gone"));
  fill_.clear();
}

TEST(LineageSeededTest, LossesAtAnyMoment) {
  const uint64_t seeds = SeedCount(1000) / 10 + 1;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(seed);
    SeededRuntime seeded(seed, seed % 2 == 0 ? 1 : 4);
    Runtime* const runtime = seeded.runtime.get();
    TaskOptions options;
    options.reconstructible = true;
    options.on_evict = OnEvict::kDrop;
    options.max_reconstructions = 1000;
    std::vector<ObjectRef<Bytes>> made;
    for (size_t i = 0; i < 24; ++i) {  // of 1 MiB, in 16 MiB
      made.push_back(
          runtime->Submit(options, [i] { return Bytes(1 << 20, static_cast<uint8_t>(i)); }));
    }
    std::vector<ObjectRef<int>> sums;
    for (size_t i = 0; i < 24; ++i) {
      sums.push_back(runtime->Submit(
          [](absl::Span<const uint8_t> a, absl::Span<const uint8_t> b) { return a[0] + b[0]; },
          made[i], made[23 - i]));
    }
    for (const auto& sum : sums) {
      auto got = sum.Get();
      ASSERT_TRUE(got.ok()) << got.status();
      ASSERT_EQ(**got, 23);
    }
  }
}

}  // namespace
}  // namespace spillway
