// What the runtime knows of memory: admission of arguments, fetching, no progress.
#include <atomic>
#include <memory>
#include <string>
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

class MemoryTest : public ::testing::TestWithParam<int> {
 protected:
  MemoryTest() : runtime_(StartRuntime(GetParam(), {}, 32 * kMiB)) {}

  ObjectRef<Bytes> PutMiB(size_t mib, uint8_t value = 1) {
    return runtime_->Put(Bytes(mib << 20, value)).value();
  }
  static uint64_t First(absl::Span<const uint8_t> bytes) { return bytes.front(); }

  std::unique_ptr<Runtime> runtime_;
};

INSTANTIATE_TEST_SUITE_P(Workers, MemoryTest, ::testing::Values(1, 2, 8));

TEST_P(MemoryTest, ArgumentsThatCanNeverBeTogetherFailAtOnce) {
  std::vector<ObjectRef<Bytes>> parts;
  for (int i = 0; i < 5; ++i) parts.push_back(PutMiB(4));
  auto ref = runtime_->Submit(
      TaskOptions{.name = "greedy"},
      [](const std::vector<ObjectView<Bytes>>& views) { return views.size(); }, parts);
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ref.Get().status().message(), HasSubstr("arguments_share_max"));
  EXPECT_THAT(ref.Get().status().message(), HasSubstr("greedy"));
  // One that is named twice counts once.
  std::vector<ObjectRef<Bytes>> same(10, parts[0]);
  EXPECT_EQ(
      *runtime_
           ->Submit([](const std::vector<ObjectView<Bytes>>& views) { return views.size(); }, same)
           .Get()
           .value(),
      10u);
}

TEST_P(MemoryTest, AdmittedArgumentsStayWithinTheirShare) {
  std::vector<ObjectRef<Bytes>> parts;
  for (uint8_t i = 0; i < 32; ++i) parts.push_back(PutMiB(2, i));
  std::atomic<uint64_t> most{0};
  Runtime* const runtime = runtime_.get();
  std::vector<ObjectRef<uint64_t>> refs;
  for (int round = 0; round < 4; ++round) {
    for (const auto& part : parts) {
      refs.push_back(runtime_->Submit(
          [runtime, &most](absl::Span<const uint8_t> bytes) {
            const uint64_t now = runtime->Stats().admitted_bytes;
            uint64_t before = most.load();
            while (before < now && !most.compare_exchange_weak(before, now)) {
            }
            return uint64_t{bytes.front()};
          },
          part));
    }
  }
  for (size_t i = 0; i < refs.size(); ++i) EXPECT_EQ(*refs[i].Get().value(), i % 32);
  EXPECT_GT(most.load(), 0u);
  EXPECT_LE(most.load(), 32 * kMiB * 6 / 10);
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_EQ(runtime_->Stats().admitted_bytes, 0u);
  EXPECT_EQ(runtime_->store()->Stats().pinned_objects, 0u);
}

TEST_P(MemoryTest, WithoutProgressTheYoungestFails) {
  RuntimeOptions options;
  options.no_progress_max = absl::Milliseconds(50);
  auto runtime = StartRuntime(GetParam(), options, 32 * kMiB);
  Runtime* const inside = runtime.get();
  auto mine = runtime->Put(Bytes(12 << 20, 1)).value();
  auto other = runtime->Put(Bytes(12 << 20, 2)).value();
  // The parent holds 12 of 19 MiB while it waits for a child that needs 12 others.
  auto parent = runtime->Submit(
      [inside, other](absl::Span<const uint8_t> bytes) -> absl::StatusOr<uint64_t> {
        auto child = inside->Submit(
            TaskOptions{.name = "child"},
            [](absl::Span<const uint8_t> more) { return uint64_t{more[0]}; }, other);
        auto got = child.Get();
        if (!got.ok()) return got.status();
        return bytes[0] + **got;
      },
      mine);
  EXPECT_EQ(parent.Get().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(parent.Get().status().message(), HasSubstr("no_progress_max"));
  EXPECT_EQ(runtime->Stats().no_progress_failures, 1u);
  // And goes on.
  EXPECT_EQ(*runtime->Submit(First, other).Get().value(), 2u);
}

TEST_P(MemoryTest, ACancelledTaskGivesUpItsPlaceInTheLine) {
  Gate gate;
  auto large = PutMiB(12);
  std::vector<ObjectRef<uint64_t>> holders;
  auto holder = runtime_->Submit(
      [&gate](absl::Span<const uint8_t> bytes) {
        gate.Await();
        return uint64_t{bytes[0]};
      },
      large);
  auto second = PutMiB(12);
  auto waiting = runtime_->Submit(First, second);
  auto behind = runtime_->Submit(First, PutMiB(1));
  EXPECT_TRUE(runtime_->Cancel(waiting));
  EXPECT_EQ(waiting.Get().status().code(), absl::StatusCode::kCancelled);
  gate.Open();
  EXPECT_EQ(*holder.Get().value(), 1u);
  EXPECT_EQ(*behind.Get().value(), 1u);
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_EQ(runtime_->Stats().admission_waiting, 0u);
}

TEST_P(MemoryTest, PassedOverTasksGetTheirTurn) {
  // A task that needs nearly all the room, among many that need little and are in memory.
  std::vector<ObjectRef<Bytes>> small;
  for (int i = 0; i < 12; ++i) small.push_back(PutMiB(1));
  auto large = PutMiB(18);
  std::vector<ObjectRef<uint64_t>> refs;
  for (int i = 0; i < 100; ++i) refs.push_back(runtime_->Submit(First, small[i % 12]));
  auto big = runtime_->Submit(First, large);
  for (int i = 0; i < 2000; ++i) refs.push_back(runtime_->Submit(First, small[i % 12]));
  EXPECT_EQ(*big.Get().value(), 1u);
  for (const auto& ref : refs) EXPECT_EQ(*ref.Get().value(), 1u);
}

TEST_P(MemoryTest, OffMeansThatTasksReadForThemselves) {
  RuntimeOptions options;
  options.dependency_aware = false;
  auto runtime = StartRuntime(GetParam(), options, 32 * kMiB);
  std::vector<ObjectRef<uint64_t>> refs;
  for (int i = 0; i < 64; ++i) {
    refs.push_back(
        runtime->Submit(First, runtime->Put(Bytes(1 << 20, static_cast<uint8_t>(i))).value()));
  }
  for (size_t i = 0; i < refs.size(); ++i) EXPECT_EQ(*refs[i].Get().value(), i);
}

TEST_P(MemoryTest, TheTimelineIsChromesFormat) {
  RuntimeOptions options;
  options.trace_out = ::testing::TempDir() + "/trace.json";
  auto runtime = StartRuntime(GetParam(), options);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(runtime->Submit(TaskOptions{.name = "say \"hi\""}, [] {}).Get().ok());
  }
  ASSERT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  std::FILE* file = std::fopen(options.trace_out.c_str(), "re");
  ASSERT_NE(file, nullptr);
  std::string text(1 << 20, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  EXPECT_THAT(text, HasSubstr("\"traceEvents\":["));
  EXPECT_THAT(text, HasSubstr(R"("name":"say \"hi\"")"));
  EXPECT_THAT(text, HasSubstr("\"ph\":\"X\""));
  EXPECT_THAT(text, HasSubstr("spilled bytes"));
}

}  // namespace
}  // namespace spillway
