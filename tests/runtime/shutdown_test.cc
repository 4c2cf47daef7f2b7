// The end of a runtime: from any state, within bounds, and what is left of it.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "tests/runtime/test_runtime.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;

template <typename T>
absl::StatusCode CodeOf(const ObjectRef<T>& ref) {
  return ref.Get().status().code();
}

class ShutdownTest : public ::testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Workers, ShutdownTest, ::testing::Values(1, 2, 8));

TEST_P(ShutdownTest, DrainRunsEverythingToItsEnd) {
  auto runtime = StartRuntime(GetParam());
  std::atomic<int> ran{0};
  Runtime* const inside = runtime.get();
  for (int i = 0; i < 100; ++i) {
    runtime->Submit([inside, &ran] {
      ++ran;
      inside->Submit([&ran] { ++ran; });  // its children too
    });
  }
  ASSERT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_EQ(ran.load(), 200);
  EXPECT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());  // idempotent
  EXPECT_TRUE(runtime->Shutdown(ShutdownMode::kCancel, absl::Seconds(60)).ok());
  EXPECT_EQ(CodeOf(runtime->Submit([] { return 1; })), absl::StatusCode::kUnavailable);
}

TEST_P(ShutdownTest, CancelFailsWhatHasNotStarted) {
  auto runtime = StartRuntime(GetParam());
  std::atomic<int> ran{0};
  std::vector<ObjectRef<Done>> refs;
  for (int i = 0; i < 200; ++i) {
    refs.push_back(runtime->Submit([&ran] {
      ++ran;
      while (!StopRequested()) std::this_thread::yield();
    }));
  }
  auto dependant = runtime->Submit([](Done) { return 1; }, refs.back());
  ASSERT_TRUE(runtime->Shutdown(ShutdownMode::kCancel, absl::Seconds(60)).ok());
  EXPECT_LE(ran.load(), GetParam());
  int unavailable = 0;
  for (const auto& ref : refs) unavailable += CodeOf(ref) == absl::StatusCode::kUnavailable;
  EXPECT_EQ(unavailable, 200 - ran.load());
  EXPECT_EQ(CodeOf(dependant), absl::StatusCode::kUnavailable);
}

TEST_P(ShutdownTest, ADrainIsBounded) {
  auto runtime = StartRuntime(GetParam());
  Pending<int> never = runtime->store()->MakePending<int>().value();
  auto waiting = runtime->Submit([](int x) { return x; }, never.ref);
  const absl::Status status = runtime->Shutdown(ShutdownMode::kDrain, absl::Milliseconds(20));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("1 tasks had not ended"));
  EXPECT_EQ(CodeOf(waiting), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::ZeroDuration()).ok());
}

TEST_P(ShutdownTest, ATaskThatDoesNotStopIsNamedAndCanBeWaitedForAgain) {
  auto runtime = StartRuntime(GetParam());
  Gate gate, started;
  auto deaf = runtime->Submit(TaskOptions{.name = "deaf"}, [&] {
    started.Open();
    gate.Await();
    return 1;
  });
  started.Await();
  const absl::Status status = runtime->Shutdown(ShutdownMode::kCancel, absl::Milliseconds(5));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("deaf"));
  EXPECT_EQ(CodeOf(deaf), absl::StatusCode::kUnavailable);
  gate.Open();
  EXPECT_TRUE(runtime->Shutdown(ShutdownMode::kCancel, absl::Seconds(60)).ok());
}

TEST_P(ShutdownTest, RefsThatOutliveTheRuntimeAreUnavailable) {
  auto runtime = StartRuntime(GetParam());
  auto done = runtime->Submit([] { return std::string("value"); });
  ASSERT_TRUE(done.Get().ok());
  auto view = done.Get().value();
  Pending<int> never = runtime->store()->MakePending<int>().value();
  auto pending = runtime->Submit([](int x) { return x; }, never.ref);
  runtime.reset();
  EXPECT_EQ(CodeOf(done), absl::StatusCode::kUnavailable);
  EXPECT_EQ(CodeOf(pending), absl::StatusCode::kUnavailable);
  EXPECT_EQ(*view, "value");  // a view stays
}

TEST_P(ShutdownTest, ACallersStoreOutlivesTheRuntime) {
  auto store = ObjectStore::Open(StoreOptions(), NewMemoryBackend()).value();
  RuntimeOptions options;
  options.workers = GetParam();
  ObjectRef<int> done;
  for (int i = 0; i < 20; ++i) {
    auto runtime = Runtime::Start(options, store.get()).value();  // and again
    auto next =
        runtime->Submit([i](int last) { return last + i; }, done ? done : runtime->Put(0).value());
    ASSERT_TRUE(next.Get().ok());
    done = next;
  }
  EXPECT_EQ(*done.Get().value(), 190);
}

TEST_P(ShutdownTest, TwoRuntimesSideBySide) {
  auto a = StartRuntime(GetParam());
  auto b = StartRuntime(GetParam());
  Runtime* const other = b.get();
  // A task of one waits for a task of the other, which waits for one of the first.
  Runtime* const one = a.get();
  auto ref = a->Submit([one, other] {
    return *other->Submit([one] { return *one->Submit([] { return 7; }).Get().value(); })
                .Get()
                .value();
  });
  EXPECT_EQ(*ref.Get().value(), 7);
}

TEST_P(ShutdownTest, FromInsideATaskItIsRefused) {
  auto runtime = StartRuntime(GetParam());
  Runtime* const inside = runtime.get();
  auto code = runtime->Submit([inside] {
    return static_cast<int>(inside->Shutdown(ShutdownMode::kDrain, absl::Seconds(1)).code());
  });
  EXPECT_EQ(*code.Get().value(), static_cast<int>(absl::StatusCode::kFailedPrecondition));
}

TEST_P(ShutdownTest, UnderLoadFromManyThreads) {
  for (int round = 0; round < 20; ++round) {
    auto runtime = StartRuntime(GetParam());
    std::atomic<bool> over{false};
    std::vector<std::thread> submitters;
    for (int t = 0; t < 3; ++t) {
      submitters.emplace_back([&runtime, &over] {
        ObjectRef<int> last = runtime->Submit([] { return 1; });
        while (!over) {
          last = runtime->Submit([](int x) { return x + 1; }, last);
          runtime->Submit([](ObjectRef<int> ref) { return ref.Get().ok(); }, last);
        }
        const absl::StatusCode code = CodeOf(last);
        EXPECT_TRUE(code == absl::StatusCode::kOk || code == absl::StatusCode::kUnavailable);
      });
    }
    std::this_thread::yield();
    EXPECT_EQ(runtime->Shutdown(round % 2 == 0 ? ShutdownMode::kCancel : ShutdownMode::kDrain,
                                absl::Seconds(60)),
              absl::OkStatus());
    over = true;
    for (std::thread& submitter : submitters) submitter.join();
  }
}

}  // namespace
}  // namespace spillway
