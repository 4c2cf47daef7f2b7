// Tasks: what they take and return, how they fail, end and are cancelled; with 1, 2 and 8 workers.
#include <atomic>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "tests/runtime/test_runtime.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusCode CodeOf(const absl::Status& status) { return status.code(); }

template <typename T>
absl::Status ErrorOf(const ObjectRef<T>& ref) {
  return ref.Get().status();
}

int Twice(int x) { return 2 * x; }

class TaskTest : public ::testing::TestWithParam<int> {
 protected:
  TaskTest() : runtime_(StartRuntime(GetParam())) {}
  std::unique_ptr<Runtime> runtime_;
};

INSTANTIATE_TEST_SUITE_P(Workers, TaskTest, ::testing::Values(1, 2, 8));

// ---- Arguments ----

TEST_P(TaskTest, TakesAnyCallable) {
  EXPECT_EQ(*runtime_->Submit(Twice, 3).Get().value(), 6);
  EXPECT_EQ(*runtime_->Submit(&Twice, 3).Get().value(), 6);
  EXPECT_EQ(*runtime_->Submit([](auto x) { return x + 1; }, 3).Get().value(), 4);
  std::function<int(int)> function = Twice;
  EXPECT_EQ(*runtime_->Submit(function, 4).Get().value(), 8);
  int calls = 0;
  auto counting = [calls]() mutable { return ++calls; };
  EXPECT_EQ(*runtime_->Submit(counting).Get().value(), 1);
}

TEST_P(TaskTest, ARefIsResolvedByItsParameter) {
  auto numbers = runtime_->Put(std::vector<double>{1, 2, 3}).value();
  auto text = runtime_->Put("hello").value();
  // Copies.
  EXPECT_EQ(
      *runtime_->Submit([](std::vector<double> v) { return v.size(); }, numbers).Get().value(), 3u);
  EXPECT_EQ(*runtime_->Submit([](const std::string& s) { return s + "!"; }, text).Get().value(),
            "hello!");
  // Views: the very bytes of the object.
  const auto address = [](absl::Span<const double> v) {
    return reinterpret_cast<uint64_t>(v.data());
  };
  auto view = numbers.Get().value();
  EXPECT_EQ(*runtime_->Submit(address, numbers).Get().value(),
            reinterpret_cast<uint64_t>(view->data()));
  EXPECT_EQ(*runtime_->Submit([](std::string_view s) { return s.size(); }, text).Get().value(), 5u);
  EXPECT_EQ(*runtime_->Submit([](ObjectView<std::vector<double>> v) { return v->size(); }, numbers)
                 .Get()
                 .value(),
            3u);
  EXPECT_EQ(*runtime_->Submit([](const auto& v) { return v.size(); }, numbers).Get().value(), 3u);
  // Conversions.
  auto three = runtime_->Put(3).value();
  EXPECT_EQ(*runtime_->Submit([](double x) { return x / 2; }, three).Get().value(), 1.5);
  // The ref itself, which is not waited for.
  Pending<int> pending = runtime_->store()->MakePending<int>().value();
  EXPECT_FALSE(
      *runtime_->Submit([](ObjectRef<int> ref) { return ref.ready(); }, pending.ref).Get().value());
  EXPECT_TRUE(*runtime_->Submit([](AnyRef ref) { return static_cast<bool>(ref); }, pending.ref)
                   .Get()
                   .value());
}

TEST_P(TaskTest, AVectorOfRefsIsResolvedToo) {
  std::vector<ObjectRef<int>> refs;
  for (int i = 0; i < 100; ++i) refs.push_back(runtime_->Submit([i] { return i; }));
  const auto sum_values = [](const std::vector<int>& values) {
    int sum = 0;
    for (int v : values) sum += v;
    return sum;
  };
  const auto sum_views = [](std::vector<ObjectView<int>> views) {
    int sum = 0;
    for (const auto& v : views) sum += *v;
    return sum;
  };
  const auto count = [](std::vector<ObjectRef<int>> unresolved) { return unresolved.size(); };
  EXPECT_EQ(*runtime_->Submit(sum_values, refs).Get().value(), 4950);
  EXPECT_EQ(*runtime_->Submit(sum_views, refs).Get().value(), 4950);
  EXPECT_EQ(*runtime_->Submit(count, refs).Get().value(), 100u);
  EXPECT_EQ(*runtime_->Submit(sum_values, std::vector<ObjectRef<int>>()).Get().value(), 0);
}

TEST_P(TaskTest, AValueThatCannotBeCopiedIsMoved) {
  auto owned = std::make_unique<int>(5);
  EXPECT_EQ(
      *runtime_->Submit([](std::unique_ptr<int> p) { return *p; }, std::move(owned)).Get().value(),
      5);
  TaskOptions retried;
  retried.max_retries = 1;
  EXPECT_EQ(CodeOf(ErrorOf(runtime_->Submit(
                retried, [](std::unique_ptr<int> p) { return *p; }, std::make_unique<int>(5)))),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(TaskTest, AnEmptyRefIsAnError) {
  EXPECT_EQ(CodeOf(ErrorOf(runtime_->Submit(Twice, ObjectRef<int>()))),
            absl::StatusCode::kInvalidArgument);
}

// ---- Results ----

TEST_P(TaskTest, ReturnsWhatItReturns) {
  EXPECT_EQ(*runtime_->Submit([]() -> absl::StatusOr<int> { return 1; }).Get().value(), 1);
  EXPECT_TRUE(runtime_->Submit([]() -> absl::Status { return absl::OkStatus(); }).Get().ok());
  EXPECT_TRUE(runtime_->Submit([] {}).Get().ok());
  std::tuple<ObjectRef<int>, ObjectRef<std::string>> both =
      runtime_->Submit([] { return std::make_tuple(1, std::string("one")); });
  EXPECT_EQ(*std::get<0>(both).Get().value(), 1);
  EXPECT_EQ(*std::get<1>(both).Get().value(), "one");
  ObjectRef<std::string> text = runtime_->Submit([] { return "a literal"; });
  EXPECT_EQ(*text.Get().value(), "a literal");
}

TEST_P(TaskTest, NumReturnsMakesAnObjectOfEachElement) {
  const auto split = [](int n) {
    std::vector<std::string> parts;
    for (int i = 0; i < n; ++i) parts.push_back(std::to_string(i));
    return parts;
  };
  std::vector<ObjectRef<std::string>> parts = runtime_->Submit(NumReturns{3}, split, 3);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(*parts[2].Get().value(), "2");
  for (const auto& part : runtime_->Submit(NumReturns{3}, split, 2)) {
    EXPECT_EQ(CodeOf(ErrorOf(part)), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(ErrorOf(part).message(), HasSubstr("returned 2 elements"));
  }
  EXPECT_TRUE(runtime_->Submit(NumReturns{0}, split, 0).empty());
}

TEST_P(TaskTest, AResultIsStoredOnceAndGoesWithItsLastRef) {
  ObjectRef<std::vector<int>> ref = runtime_->Submit([] { return std::vector<int>(100'000, 7); });
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  ASSERT_TRUE(ref.Get().ok());
  EXPECT_EQ(runtime_->store()->Stats().puts, 1u);
  EXPECT_EQ(runtime_->store()->Stats().objects, 1u);
  ref = {};
  EXPECT_EQ(runtime_->store()->Stats().objects, 0u);
  EXPECT_EQ(runtime_->store()->Stats().memory.payload_bytes, 0u);
}

TEST_P(TaskTest, AResultNobodyWantsIsNoError) {
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) runtime_->Submit([&ran] { return ++ran; });
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_EQ(ran.load(), 100);
}

TEST_P(TaskTest, AResultThatDoesNotFitIsItsTasksFailure) {
  auto ref = runtime_->Submit(TaskOptions{.name = "huge"},
                              [] { return std::vector<char>(100'000'000, 'x'); });
  EXPECT_EQ(CodeOf(ErrorOf(ref)), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ErrorOf(ref).message(), HasSubstr("in task huge"));
}

// ---- Failure ----

TEST_P(TaskTest, AFailureReachesAllDependantsWithTheNamesOnItsWay) {
  const auto named = [](const char* name) { return TaskOptions{.name = name}; };
  Gate gate;
  auto load = runtime_->Submit(named("load"), [&gate]() -> absl::StatusOr<int> {
    gate.Await();
    return absl::NotFoundError("no such file");
  });
  auto parse = runtime_->Submit(named("parse"), Twice, load);
  auto sum = runtime_->Submit(
      named("sum"), [](int a, int b) { return a + b; }, parse, load);
  std::vector<ObjectRef<int>> many;
  for (int i = 0; i < 100; ++i) many.push_back(runtime_->Submit(Twice, parse));
  gate.Open();
  EXPECT_EQ(ErrorOf(load).ToString().substr(0, 40), "NOT_FOUND: no such file [in task load] [");
  EXPECT_THAT(ErrorOf(parse).message(), HasSubstr("no such file [in task load; needed by parse]"));
  EXPECT_THAT(ErrorOf(sum).message(), HasSubstr("no such file [in task load; needed by"));
  EXPECT_EQ(CodeOf(ErrorOf(sum)), absl::StatusCode::kNotFound);
  for (const auto& ref : many) EXPECT_EQ(CodeOf(ErrorOf(ref)), absl::StatusCode::kNotFound);
  // Late comers too.
  EXPECT_EQ(CodeOf(ErrorOf(runtime_->Submit(Twice, many[7]))), absl::StatusCode::kNotFound);
}

TEST_P(TaskTest, AnExceptionIsAFailure) {
  auto ref = runtime_->Submit(TaskOptions{.name = "thrower"},
                              []() -> int { throw std::runtime_error("boom"); });
  EXPECT_EQ(CodeOf(ErrorOf(ref)), absl::StatusCode::kInternal);
  EXPECT_THAT(ErrorOf(ref).message(), HasSubstr("std::runtime_error: boom [in task thrower]"));
  EXPECT_EQ(CodeOf(ErrorOf(runtime_->Submit([]() -> int { throw 5; }))),
            absl::StatusCode::kInternal);
  // The worker goes on.
  EXPECT_EQ(*runtime_->Submit(Twice, 1).Get().value(), 2);
}

TEST_P(TaskTest, AFailureRunsThroughALongChain) {
  constexpr int kLength = 20'000;
  Gate gate;
  ObjectRef<int> ref = runtime_->Submit([&gate]() -> absl::StatusOr<int> {
    gate.Await();
    return absl::AbortedError("at the root");
  });
  for (int i = 0; i < kLength; ++i) ref = runtime_->Submit(Twice, ref);
  gate.Open();
  const absl::Status error = ErrorOf(ref);
  EXPECT_EQ(error.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(error.message(), HasSubstr("at the root [in task unnamed; needed by"));
  EXPECT_THAT(error.message(), HasSubstr("more]"));
  EXPECT_LT(error.message().size(), 300u);
}

TEST_P(TaskTest, RetriesWhatIsRetryableAndNothingElse) {
  std::atomic<int> calls{0};
  const auto fails_twice = [&calls]() -> absl::StatusOr<int> {
    if (++calls < 3) return absl::UnavailableError("not yet");
    return 42;
  };
  TaskOptions options;
  options.max_retries = 5;
  options.retry_backoff = absl::Milliseconds(1);
  EXPECT_EQ(*runtime_->Submit(options, fails_twice).Get().value(), 42);
  EXPECT_EQ(calls.load(), 3);
  calls = 0;
  options.max_retries = 1;
  EXPECT_EQ(CodeOf(ErrorOf(runtime_->Submit(options, fails_twice))),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls.load(), 2);
  calls = 0;
  options.max_retries = 5;
  EXPECT_EQ(CodeOf(ErrorOf(runtime_->Submit(options,
                                            [&calls]() -> absl::StatusOr<int> {
                                              ++calls;
                                              return absl::InternalError("for good");
                                            }))),
            absl::StatusCode::kInternal);
  EXPECT_EQ(calls.load(), 1);
  options.retryable = [](const absl::Status& status) { return absl::IsInternal(status); };
  calls = 0;
  EXPECT_EQ(CodeOf(ErrorOf(runtime_->Submit(
                options,
                [&calls](const std::string& s) -> absl::StatusOr<int> {
                  ++calls;
                  EXPECT_EQ(s, "kept");  // a copy each time
                  return absl::InternalError("always");
                },
                std::string("kept")))),
            absl::StatusCode::kInternal);
  EXPECT_EQ(calls.load(), 6);
  EXPECT_EQ(runtime_->Stats().retries, 8u);
}

TEST_P(TaskTest, ATimeoutFailsTheResultAndAsksTheTaskToStop) {
  TaskOptions options;
  options.name = "slow";
  options.timeout = absl::Milliseconds(5);
  std::atomic<bool> stopped{false};
  auto ref = runtime_->Submit(options, [&stopped] {
    while (!StopRequested()) std::this_thread::yield();
    stopped = true;
    return 1;
  });
  auto dependant = runtime_->Submit(Twice, ref);
  EXPECT_EQ(CodeOf(ErrorOf(ref)), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(CodeOf(ErrorOf(dependant)), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_TRUE(stopped.load());
  EXPECT_EQ(runtime_->Stats().timeouts, 1u);
}

TEST_P(TaskTest, ATaskWithinItsTimeoutIsLeftAlone) {
  TaskOptions options;
  options.timeout = absl::Minutes(10);
  EXPECT_EQ(*runtime_->Submit(options, Twice, 4).Get().value(), 8);
}

// ---- Cancelling ----

TEST_P(TaskTest, ACancelledTaskThatHasNotStartedNeverDoes) {
  Gate gate;
  std::atomic<int> begun{0};
  std::vector<ObjectRef<Done>> blockers;
  for (int i = 0; i < GetParam(); ++i) {
    blockers.push_back(runtime_->Submit([&] {
      ++begun;
      begun.notify_all();
      gate.Await();
    }));
  }
  // Only then is no worker free.
  for (int n = begun; n < GetParam(); n = begun) begun.wait(n);
  std::atomic<bool> ran{false};
  auto queued = runtime_->Submit([&ran] {
    ran = true;
    return 1;
  });
  auto dependant = runtime_->Submit(Twice, queued);
  Pending<int> pending = runtime_->store()->MakePending<int>().value();
  auto waiting = runtime_->Submit([&ran](int) { ran = true; }, pending.ref);
  EXPECT_TRUE(runtime_->Cancel(queued));
  EXPECT_TRUE(runtime_->Cancel(waiting));
  EXPECT_FALSE(runtime_->Cancel(queued));
  EXPECT_FALSE(runtime_->Cancel(pending.ref));
  EXPECT_EQ(CodeOf(ErrorOf(queued)), absl::StatusCode::kCancelled);
  EXPECT_EQ(CodeOf(ErrorOf(dependant)), absl::StatusCode::kCancelled);
  EXPECT_EQ(CodeOf(ErrorOf(waiting)), absl::StatusCode::kCancelled);
  gate.Open();
  ASSERT_TRUE(pending.promise.Set(1).ok());
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_FALSE(ran.load());
  EXPECT_EQ(runtime_->Stats().cancelled, 3u);  // the dependant as well
}

TEST_P(TaskTest, ACancelledTaskThatRunsIsAskedToStop) {
  Gate started;
  std::atomic<bool> saw_token{false};
  auto ref = runtime_->Submit(
      [&](std::stop_token token, int x) {
        started.Open();
        while (!token.stop_requested()) std::this_thread::yield();
        saw_token = StopRequested();
        return x;
      },
      1);
  auto dependant = runtime_->Submit(Twice, ref);
  started.Await();
  EXPECT_TRUE(runtime_->Cancel(ref));
  EXPECT_EQ(CodeOf(ErrorOf(ref)), absl::StatusCode::kCancelled);
  EXPECT_EQ(CodeOf(ErrorOf(dependant)), absl::StatusCode::kCancelled);
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_TRUE(saw_token.load());
}

TEST_P(TaskTest, CancellingWhatIsDoneChangesNothing) {
  auto ref = runtime_->Submit(Twice, 1);
  ASSERT_TRUE(ref.Get().ok());
  EXPECT_FALSE(runtime_->Cancel(ref));
  EXPECT_EQ(*ref.Get().value(), 2);
}

// ---- Nesting and waiting ----

ObjectRef<int> Nest(Runtime* runtime, int depth) {
  return runtime->Submit([runtime, depth]() -> absl::StatusOr<int> {
    if (depth == 0) return 0;
    auto below = Nest(runtime, depth - 1).Get();
    if (!below.ok()) return below.status();
    return **below + 1;
  });
}

TEST_P(TaskTest, NestsTenThousandDeep) {
  EXPECT_EQ(*Nest(runtime_.get(), 10'000).Get().value(), 10'000);
}

int Fibonacci(Runtime* runtime, int n) {
  if (n < 2) return n;
  auto a = runtime->Submit(Fibonacci, runtime, n - 1);
  auto b = runtime->Submit(Fibonacci, runtime, n - 2);
  return *a.Get().value() + *b.Get().value();
}

TEST_P(TaskTest, TasksThatWaitForTasksDoNotHoldUpTheWorkers) {
  EXPECT_EQ(*runtime_->Submit(Fibonacci, runtime_.get(), 15).Get().value(), 610);
}

TEST_P(TaskTest, ATaskMayWaitForWhatOnlyALaterOneBringsAbout) {
  Pending<int> pending = runtime_->store()->MakePending<int>().value();
  std::vector<ObjectRef<int>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(
        runtime_->Submit([](ObjectRef<int> ref) { return *ref.Get().value(); }, pending.ref));
  }
  auto promise = std::make_shared<Promise<int>>(std::move(pending.promise));
  runtime_->Submit([promise] { EXPECT_TRUE(promise->Set(9).ok()); });
  for (const auto& ref : waiting) EXPECT_EQ(*ref.Get().value(), 9);
}

TEST_P(TaskTest, BeyondTheBoundOfBlockedTasksThereIsAClearError) {
  RuntimeOptions options;
  options.blocked_tasks_max = 3;
  auto runtime = StartRuntime(GetParam(), options);
  Pending<int> pending = runtime->store()->MakePending<int>().value();
  std::vector<ObjectRef<int>> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(runtime->Submit(
        [](ObjectRef<int> ref) -> absl::StatusOr<int> {
          auto got = ref.Get();
          if (!got.ok()) return got.status();
          return **got;
        },
        pending.ref));
  }
  // Two are refused; the others wait.
  const std::vector<bool> refused = runtime->Wait(waiting, 2, absl::InfiniteDuration());
  ASSERT_TRUE(pending.promise.Set(1).ok());
  int failed = 0;
  for (const auto& ref : waiting) {
    auto got = ref.Get();
    if (got.ok()) continue;
    ++failed;
    EXPECT_EQ(got.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(got.status().message(), HasSubstr("blocked_tasks_max"));
  }
  EXPECT_EQ(failed, 2);
}

TEST_P(TaskTest, WaitsForSomeAndForAWhile) {
  Gate gate;
  std::vector<ObjectRef<int>> refs;
  refs.push_back(runtime_->Submit([] { return 1; }));
  ASSERT_TRUE(refs[0].Get().ok());
  refs.push_back(runtime_->Submit([&gate] {
    gate.Await();
    return 2;
  }));
  EXPECT_THAT(runtime_->Wait(refs, 1, absl::InfiniteDuration()), ElementsAre(true, false));
  EXPECT_THAT(runtime_->Wait(refs, 2, absl::Milliseconds(1)), ElementsAre(true, false));
  EXPECT_EQ(CodeOf(runtime_->Get(refs[1], absl::Milliseconds(1)).status()),
            absl::StatusCode::kDeadlineExceeded);
  gate.Open();
  EXPECT_EQ(*runtime_->Get(refs[1], absl::Seconds(60)).value(), 2);
}

TEST_P(TaskTest, AWaitWithADeadlineInsideATaskEndsInTime) {
  Pending<int> pending = runtime_->store()->MakePending<int>().value();
  Runtime* const runtime = runtime_.get();
  auto status = runtime_->Submit(
      [runtime](ObjectRef<int> ref) {
        return static_cast<int>(runtime->Get(ref, absl::Milliseconds(1)).status().code());
      },
      pending.ref);
  EXPECT_EQ(*status.Get().value(), static_cast<int>(absl::StatusCode::kDeadlineExceeded));
}

// ---- Order ----

TEST(TaskOrderTest, HigherPrioritiesStartFirst) {
  auto runtime = StartRuntime(1);
  Gate started, gate;
  auto blocker = runtime->Submit([&] {
    started.Open();
    gate.Await();
  });
  started.Await();
  Mutex mutex;
  std::vector<int> order;
  std::vector<ObjectRef<Done>> refs;
  for (const int priority : {0, -1, 2, 1, 0, 2}) {
    refs.push_back(runtime->Submit(TaskOptions{.priority = priority}, [&, priority] {
      MutexLock lock(&mutex);
      order.push_back(priority);
    }));
  }
  gate.Open();
  runtime->Wait(refs, refs.size(), absl::InfiniteDuration());
  MutexLock lock(&mutex);
  EXPECT_THAT(order, ElementsAre(2, 2, 1, 0, 0, -1));
}

TEST(TaskOrderTest, LowPrioritiesDoNotStarve) {
  auto runtime = StartRuntime(1);
  std::atomic<bool> low_ran{false};
  // Tasks that submit their successor, for ever, until the one of low priority has run.
  struct Chain {
    static void Go(Runtime* runtime, std::atomic<bool>* over) {
      if (!*over) runtime->Submit(Go, runtime, over);
    }
  };
  runtime->Submit(Chain::Go, runtime.get(), &low_ran);
  auto low = runtime->Submit(TaskOptions{.priority = -5}, [&low_ran] { low_ran = true; });
  EXPECT_TRUE(low.Get().ok());
  EXPECT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
}

TEST(TaskOrderTest, ASubmitFromInsideNeverWaits) {
  RuntimeOptions options;
  options.outstanding_tasks_max = 10;
  options.submit_wait_max = absl::ZeroDuration();
  auto runtime = StartRuntime(1, options);
  Runtime* const inside = runtime.get();
  auto sum = runtime->Submit([inside]() -> absl::StatusOr<int> {
    std::vector<ObjectRef<int>> refs;
    for (int i = 0; i < 1000; ++i) refs.push_back(inside->Submit([] { return 1; }));
    int total = 0;
    for (const auto& ref : refs) {
      auto got = ref.Get();
      if (!got.ok()) return got.status();
      total += **got;
    }
    return total;
  });
  EXPECT_EQ(*sum.Get().value(), 1000);
}

TEST(TaskOrderTest, ASubmitFromOutsideFeelsTheBound) {
  RuntimeOptions options;
  options.outstanding_tasks_max = 10;
  options.submit_wait_max = absl::ZeroDuration();
  auto runtime = StartRuntime(1, options);
  Gate gate;
  std::vector<ObjectRef<Done>> refs;
  for (int i = 0; i < 30; ++i) refs.push_back(runtime->Submit([&gate] { gate.Await(); }));
  EXPECT_EQ(CodeOf(refs.back().Get().status()), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(refs.back().Get().status().message(), HasSubstr("outstanding_tasks_max"));
  gate.Open();
  // Tasks use the gate until they end.
  EXPECT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
}

TEST(TaskOrderTest, ASubmitThatWaitsGoesOnWhenOthersEnd) {
  RuntimeOptions options;
  options.outstanding_bytes_max = 100'000;
  auto runtime = StartRuntime(2, options);
  std::vector<ObjectRef<size_t>> refs;
  for (int i = 0; i < 200; ++i) {
    refs.push_back(
        runtime->Submit([](const std::string& s) { return s.size(); }, std::string(90'000, 'x')));
  }
  for (const auto& ref : refs) EXPECT_EQ(*ref.Get().value(), 90'000u);
  EXPECT_GT(runtime->Stats().submit_waits, 0u);
}

// ---- Watching ----

TEST(TaskStatsTest, CountsAndTimes) {
  auto runtime = StartRuntime(2);
  std::vector<ObjectRef<int>> refs;
  for (int i = 0; i < 160; ++i) refs.push_back(runtime->Submit(Twice, i));
  auto failed = runtime->Submit([]() -> absl::Status { return absl::InternalError("x"); });
  ASSERT_TRUE(runtime->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  const RuntimeStats stats = runtime->Stats();
  EXPECT_EQ(stats.submitted, 161u);
  EXPECT_EQ(stats.finished, 161u);
  EXPECT_EQ(stats.outstanding, 0u);
  EXPECT_EQ(stats.outstanding_bytes, 0u);
  EXPECT_EQ(stats.failed, 1u);
  EXPECT_GE(stats.queue_ns.count(), 10u);
  EXPECT_EQ(stats.queue_ns.count(), stats.run_ns.count());
  EXPECT_THAT(stats.ToString(), HasSubstr("submitted 161"));
}

}  // namespace
}  // namespace spillway
