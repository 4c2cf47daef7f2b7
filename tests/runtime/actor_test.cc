// Actors: order, concurrency, mailboxes, names, failures, ends, restarts and checkpoints.
#include <atomic>
#include <memory>
#include <stdexcept>
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
absl::Status ErrorOf(const ObjectRef<T>& ref) {
  return ref.Get().status();
}

class Counter {
 public:
  explicit Counter(int start = 0) : count_(start) {}
  int Add(int n) { return count_ += n; }
  int count() const { return count_; }
  int AddBytes(std::string_view text) { return count_ += static_cast<int>(text.size()); }
  absl::Status Refuse() { return absl::InvalidArgumentError("no"); }
  absl::Status Break() { return Fatal(absl::DataLossError("broken")); }
  int Throw() { throw std::runtime_error("thrown"); }
  void AwaitGate(Gate* gate) { gate->Await(); }

  std::vector<int> SaveState() const { return {count_}; }
  void LoadState(absl::Span<const int> state) { count_ = state[0]; }

 private:
  int count_;
};

class ActorTest : public ::testing::TestWithParam<int> {
 protected:
  ActorTest() : runtime_(StartRuntime(GetParam())) {}
  std::unique_ptr<Runtime> runtime_;
};

INSTANTIATE_TEST_SUITE_P(Workers, ActorTest, ::testing::Values(1, 2, 8));

TEST_P(ActorTest, CallsAreLikeTasks) {
  auto counter = runtime_->CreateActor<Counter>({}, 10);
  EXPECT_EQ(*counter.Call(&Counter::Add, 5).Get().value(), 15);
  EXPECT_EQ(*counter.Call(&Counter::count).Get().value(), 15);
  auto text = runtime_->Put("four").value();
  EXPECT_EQ(*counter.Call(&Counter::AddBytes, text).Get().value(), 19);
  auto one = runtime_->Submit([] { return 1; });
  EXPECT_EQ(*counter.Call(&Counter::Add, one).Get().value(), 20);
  // An error is the call's alone.
  EXPECT_EQ(ErrorOf(counter.Call(&Counter::Refuse)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*counter.Call(&Counter::Add, 1).Get().value(), 21);
  auto bad = runtime_->Submit([]() -> absl::StatusOr<int> { return absl::AbortedError("x"); });
  EXPECT_EQ(ErrorOf(counter.Call(&Counter::Add, bad)).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(*counter.Call(&Counter::Add, 1).Get().value(), 22);
}

TEST_P(ActorTest, CallsArePipelinedInOrderAndOneAtATime) {
  struct Log {
    std::vector<int> seen;
    std::atomic<int> inside{0};
    int Note(int i) {
      EXPECT_EQ(inside.fetch_add(1), 0);
      seen.push_back(i);
      EXPECT_EQ(inside.fetch_sub(1), 1);
      return i;
    }
    std::vector<int> All() const { return seen; }
  };
  auto log = runtime_->CreateActor<Log>({});
  constexpr int kCalls = 10'000;
  for (int i = 0; i < kCalls; ++i) log.Call(&Log::Note, i);
  const std::vector<int> seen = log.Call(&Log::All).Read().value();
  ASSERT_EQ(seen.size(), static_cast<size_t>(kCalls));
  for (int i = 0; i < kCalls; ++i) ASSERT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST_P(ActorTest, EachCallersOrderIsKeptThoughArgumentsComeLate) {
  struct Log {
    std::vector<int> seen;
    void Note(int i) { seen.push_back(i); }
    std::vector<int> All() const { return seen; }
  };
  auto log = runtime_->CreateActor<Log>({});
  Pending<int> first = runtime_->store()->MakePending<int>().value();
  log.Call(&Log::Note, first.ref);
  log.Call(&Log::Note, 2);
  auto last = log.Call(&Log::Note, 3);
  // Another caller is not held up.
  runtime_->Submit([log] { return *log.Call(&Log::Note, 100).Get().value(); }).Get().value();
  EXPECT_FALSE(last.ready());
  ASSERT_TRUE(first.promise.Set(1).ok());
  EXPECT_EQ(log.Call(&Log::All).Read().value(), (std::vector<int>{100, 1, 2, 3}));
}

TEST_P(ActorTest, ACancelledCallDoesNotHoldUpThoseBehindIt) {
  auto counter = runtime_->CreateActor<Counter>({});
  Pending<int> never = runtime_->store()->MakePending<int>().value();
  auto stuck = counter.Call(&Counter::Add, never.ref);
  auto behind = counter.Call(&Counter::Add, 1);
  EXPECT_TRUE(runtime_->Cancel(stuck));
  EXPECT_EQ(*behind.Get().value(), 1);
  EXPECT_EQ(ErrorOf(stuck).code(), absl::StatusCode::kCancelled);
}

TEST_P(ActorTest, MoreThanOneCallAtATimeIfWished) {
  struct Meeting {
    std::atomic<int> inside{0};
    int Meet() {
      ++inside;
      while (inside < 2 && !StopRequested()) std::this_thread::yield();
      return inside;
    }
  };
  if (GetParam() < 2) return;
  auto meeting = runtime_->CreateActor<Meeting>({.max_concurrency = 2});
  auto a = meeting.Call(&Meeting::Meet);
  auto b = meeting.Call(&Meeting::Meet);
  EXPECT_EQ(*a.Get().value(), 2);
  EXPECT_EQ(*b.Get().value(), 2);
}

TEST_P(ActorTest, HandlesGoToTasksAndKeepTheActor) {
  auto counter = runtime_->CreateActor<Counter>({}, 0);
  std::vector<ObjectRef<int>> refs;
  for (int i = 0; i < 100; ++i) {
    refs.push_back(runtime_->Submit(
        [](const ActorHandle<Counter>& handle) {
          return *handle.Call(&Counter::Add, 1).Get().value();
        },
        counter));
  }
  counter = {};
  int largest = 0;
  for (const auto& ref : refs) largest = std::max(largest, *ref.Get().value());
  EXPECT_EQ(largest, 100);
}

TEST_P(ActorTest, AnActorGoesWithItsLastHandleAndCall) {
  struct Guard {
    explicit Guard(std::atomic<bool>* gone) : gone_(gone) {}
    ~Guard() { *gone_ = true; }
    void AwaitGate(Gate* gate) { gate->Await(); }
    std::atomic<bool>* gone_;
  };
  std::atomic<bool> gone{false};
  Gate gate;
  auto guard = runtime_->CreateActor<Guard>({.name = "guard"}, &gone);
  auto call = guard.Call(&Guard::AwaitGate, &gate);
  guard = {};
  EXPECT_FALSE(gone.load());
  gate.Open();
  ASSERT_TRUE(call.Get().ok());
  while (runtime_->Stats().actors_alive > 0) std::this_thread::yield();
  while (!gone.load()) std::this_thread::yield();
  EXPECT_EQ(runtime_->FindActor<Guard>("guard").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ActorTest, NamedActorsAreFound) {
  auto counter = runtime_->CreateActor<Counter>({.name = "c"}, 1);
  EXPECT_EQ(*runtime_->FindActor<Counter>("c").value().Call(&Counter::count).Get().value(), 1);
  EXPECT_EQ(runtime_->FindActor<std::string>("c").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(runtime_->FindActor<Counter>("d").status().code(), absl::StatusCode::kNotFound);
  auto second = runtime_->CreateActor<Counter>({.name = "c"}, 2);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorOf(second.Call(&Counter::count)).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*counter.Call(&Counter::count).Get().value(), 1);
}

// ---- Failure ----

struct Unbuildable {
  static absl::StatusOr<std::unique_ptr<Unbuildable>> Create(int) {
    return absl::NotFoundError("no model");
  }
  int Get() { return 1; }
};
struct Throwing {
  Throwing() { throw std::runtime_error("cannot be"); }
  int Get() { return 1; }
};

TEST_P(ActorTest, AConstructorThatFailsIsToldByTheFirstCallAndTheHandle) {
  auto created = runtime_->CreateActor<Unbuildable>({.name = "u"}, 1);
  EXPECT_EQ(ErrorOf(created.Call(&Unbuildable::Get)).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(created.status().message(), HasSubstr("could not be built: no model"));
  EXPECT_EQ(runtime_->FindActor<Unbuildable>("u").status().code(), absl::StatusCode::kNotFound);
  auto thrown = runtime_->CreateActor<Throwing>({});
  EXPECT_EQ(ErrorOf(thrown.Call(&Throwing::Get)).code(), absl::StatusCode::kInternal);
  EXPECT_THAT(thrown.status().message(), HasSubstr("cannot be"));
  EXPECT_EQ(runtime_->Stats().actors_died, 2u);
}

TEST_P(ActorTest, AnActorThatThrowsEndsAndDoesNotStayRegistered) {
  auto counter = runtime_->CreateActor<Counter>({.name = "t"}, 1);
  EXPECT_THAT(ErrorOf(counter.Call(&Counter::Throw)).message(), HasSubstr("thrown"));
  EXPECT_EQ(ErrorOf(counter.Call(&Counter::count)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(counter.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(runtime_->FindActor<Counter>("t").status().code(), absl::StatusCode::kNotFound);
  // An actor that hands on another one's fatal failure has not failed itself.
  auto anew = runtime_->CreateActor<Counter>({.name = "t"}, 5);
  EXPECT_EQ(*anew.Call(&Counter::count).Get().value(), 5);
}

TEST_P(ActorTest, AfterAFatalFailureItIsBuiltAnew) {
  auto counter = runtime_->CreateActor<Counter>({.max_restarts = 2}, 10);
  counter.Call(&Counter::Add, 5);
  EXPECT_EQ(ErrorOf(counter.Call(&Counter::Break)).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(*counter.Call(&Counter::count).Get().value(), 10);
  counter.Call(&Counter::Add, 7);
  ASSERT_TRUE(counter.Checkpoint().Get().ok());
  counter.Call(&Counter::Add, 100);
  counter.Call(&Counter::Throw);
  EXPECT_EQ(*counter.Call(&Counter::count).Get().value(), 17);  // from the checkpoint
  counter.Call(&Counter::Break);
  EXPECT_EQ(ErrorOf(counter.Call(&Counter::count)).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(counter.status().message(), HasSubstr("fatal failure: broken"));
  EXPECT_EQ(runtime_->Stats().actor_restarts, 2u);
}

TEST_P(ActorTest, CheckpointsEverySoManyCalls) {
  auto counter = runtime_->CreateActor<Counter>({.max_restarts = 1, .checkpoint_every = 10}, 0);
  for (int i = 0; i < 25; ++i) counter.Call(&Counter::Add, 1);
  counter.Call(&Counter::Break);
  EXPECT_EQ(*counter.Call(&Counter::count).Get().value(), 20);
  EXPECT_EQ(runtime_->Stats().checkpoints, 2u);
  auto state = counter.LastCheckpoint().As<std::vector<int>>().value();
  EXPECT_EQ(state.Read().value(), std::vector<int>{20});
  struct Stateless {
    int Get() { return 1; }
  };
  auto stateless = runtime_->CreateActor<Stateless>({.checkpoint_every = 1});
  EXPECT_EQ(stateless.status().code(), absl::StatusCode::kInvalidArgument);
  auto other = runtime_->CreateActor<Stateless>({});
  EXPECT_EQ(ErrorOf(other.Checkpoint()).code(), absl::StatusCode::kFailedPrecondition);
}

// ---- Ends ----

TEST_P(ActorTest, StopDrainsAndKillDoesNot) {
  Gate gate;
  auto stopped = runtime_->CreateActor<Counter>({}, 0);
  stopped.Call(&Counter::AwaitGate, &gate);
  auto taken = stopped.Call(&Counter::Add, 1);
  stopped.Stop();
  EXPECT_EQ(ErrorOf(stopped.Call(&Counter::Add, 1)).code(), absl::StatusCode::kFailedPrecondition);
  gate.Open();
  EXPECT_EQ(*taken.Get().value(), 1);

  Gate started;
  struct Sleeper {
    explicit Sleeper(Gate* began) : began_(began) {}
    void Sleep() {
      began_->Open();
      while (!StopRequested()) std::this_thread::yield();
    }
    Gate* began_;
  };
  auto killed = runtime_->CreateActor<Sleeper>({}, &started);
  auto running = killed.Call(&Sleeper::Sleep);
  auto queued = killed.Call(&Sleeper::Sleep);
  started.Await();
  killed.Kill();
  EXPECT_EQ(ErrorOf(queued).code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(running.Get().ok());  // it stopped by itself, with a result
  while (killed.status().ok()) std::this_thread::yield();
  EXPECT_EQ(killed.status().code(), absl::StatusCode::kUnavailable);
}

TEST_P(ActorTest, AFullMailboxHoldsUpItsCallers) {
  Gate gate, started;
  struct Slow {
    void Begin(Gate* began, Gate* end) {
      began->Open();
      end->Await();
    }
    int Get() { return 1; }
  };
  auto slow =
      runtime_->CreateActor<Slow>({.mailbox_max = 2, .mailbox_wait_max = absl::ZeroDuration()});
  slow.Call(&Slow::Begin, &started, &gate);
  started.Await();
  auto first = slow.Call(&Slow::Get);
  auto second = slow.Call(&Slow::Get);
  auto third = slow.Call(&Slow::Get);
  EXPECT_EQ(ErrorOf(third).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ErrorOf(third).message(), HasSubstr("mailbox_max"));
  gate.Open();
  EXPECT_EQ(*second.Get().value(), 1);

  auto patient = runtime_->CreateActor<Counter>({.mailbox_max = 4}, 0);
  ObjectRef<int> last;
  for (int i = 0; i < 1000; ++i) last = patient.Call(&Counter::Add, 1);
  EXPECT_EQ(*last.Get().value(), 1000);
  // Inside a task the wait does not hold up the workers.
  auto inside = runtime_->Submit([patient] {
    ObjectRef<int> end;
    for (int i = 0; i < 1000; ++i) end = patient.Call(&Counter::Add, 1);
    return *end.Get().value();
  });
  EXPECT_EQ(*inside.Get().value(), 2000);
}

TEST_P(ActorTest, ActorsCallEachOther) {
  struct Ring {
    int Pass(ActorHandle<Ring> next, int n) {
      if (n == 0) return 0;
      return 1 + *next.Call(&Ring::Pass, next, n - 1).Get().value();
    }
  };
  // Each waits for another, so that as many are blocked as there are.
  std::vector<ActorHandle<Ring>> ring;
  for (int i = 0; i < 50; ++i) ring.push_back(runtime_->CreateActor<Ring>({}));
  struct Hop {
    static int Go(std::vector<ActorHandle<Ring>> rest) {
      if (rest.size() < 2) return 0;
      return static_cast<int>(rest.size());
    }
  };
  EXPECT_EQ(*ring[0].Call(&Ring::Pass, ring[1], 1).Get().value(), 1);
  EXPECT_EQ(*runtime_->Submit(Hop::Go, ring).Get().value(), 50);
}

TEST_P(ActorTest, CallsAfterShutdownAndAfterTheRuntime) {
  auto counter = runtime_->CreateActor<Counter>({}, 0);
  ASSERT_TRUE(counter.Call(&Counter::Add, 1).Get().ok());
  ASSERT_TRUE(runtime_->Shutdown(ShutdownMode::kDrain, absl::Seconds(60)).ok());
  EXPECT_EQ(ErrorOf(counter.Call(&Counter::Add, 1)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(counter.status().code(), absl::StatusCode::kUnavailable);
  runtime_.reset();
  EXPECT_FALSE(counter.Call(&Counter::Add, 1));
  counter.Stop();
  counter.Kill();
}

}  // namespace
}  // namespace spillway
