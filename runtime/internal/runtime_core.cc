#include "runtime/internal/runtime_core.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "runtime/internal/actor_core.h"
#include "runtime/internal/task_error.h"

namespace spillway::internal {

namespace {

// What is outstanding is summed up once in so many Submits of a thread, and for each that holds so
// many bytes.
constexpr uint32_t kOutstandingCheckedEvery = 64;
constexpr uint64_t kLargeSubmitBytes = 64 * kKiB;
// Who waited goes on when this share of the bound is outstanding.
constexpr double kResumeShare = 0.9;
// What one waits for is looked at so often, whether one was woken or not.
constexpr absl::Duration kLookAgain = absl::Milliseconds(50);

// Below this the stack is not used for a task that could run on another one.
constexpr size_t kStackLeftMin = 192 * 1024;

constexpr absl::Duration kStoreSampledEvery = absl::Milliseconds(10);

constexpr int kRunningNamedMax = 5;

int ProcessorsAvailable() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

absl::Status ShutDownError() {
  return absl::UnavailableError("the runtime was shut down before the task ended");
}

}  // namespace

absl::StatusOr<std::shared_ptr<RuntimeCore>> RuntimeCore::Start(const RuntimeOptions& options,
                                                                std::unique_ptr<ObjectStore> owned,
                                                                ObjectStore* store) {
  if (absl::Status status = ValidateRuntimeOptions(options); !status.ok()) return status;
  if (store == nullptr) return absl::InvalidArgumentError("a runtime needs a store");
  RuntimeOptions filled = options;
  if (filled.workers == 0) {
    filled.workers = std::min(ProcessorsAvailable(), RuntimeOptions::kWorkersMax);
  }
  if (!filled.trace_out.empty() && filled.trace_events_max == 0) filled.trace_events_max = 65536;
  std::shared_ptr<RuntimeCore> core(new RuntimeCore(filled, std::move(owned), store));
  core->Begin();
  return core;
}

RuntimeCore::RuntimeCore(const RuntimeOptions& options, std::unique_ptr<ObjectStore> owned,
                         ObjectStore* store)
    : options_(options),
      owned_store_(std::move(owned)),
      store_(store),
      clock_(options.clock != nullptr ? options.clock : Clock::Real()),
      background_(options.background != nullptr ? options.background : Executor::Real()),
      trace_(options.trace_events_max, options.workers) {}

RuntimeCore::~RuntimeCore() = default;

void RuntimeCore::Begin() {
  executor_ = options_.executor;
  if (executor_ == nullptr) {
    owned_executor_ = NewTbbExecutor(options_.workers);
    executor_ = owned_executor_.get();
  }
  timers_ = std::make_unique<Timers>(clock_, background_);
  SchedulerOptions scheduler;
  scheduler.workers = options_.workers;
  scheduler.blocked_max = options_.blocked_tasks_max;
  scheduler.executor = executor_;
  scheduler.clock = clock_;
  scheduler.wait_hook = this;
  scheduler.owner = weak_from_this();
  scheduler_ = std::make_unique<Scheduler>(scheduler);
  scheduler_->SetHelpWanted([this] {
    struct Help {
      static void Come(RuntimeCore* core) {
        const absl::Time again = core->scheduler_->HelpExecutor();
        if (again < absl::InfiniteFuture()) core->timers_->At(again, [core] { Come(core); });
      }
    };
    timers_->At(clock_->Now() + Scheduler::kExecutorGrace, [this] { Help::Come(this); });
  });
  admission_ = std::make_unique<Admission>(this, options_, options_.workers);
  admission_->Start(background_);
  if (trace_.on()) SampleStore();
}

size_t RuntimeCore::MyStripeNumber() {
  static std::atomic<size_t> next{0};
  static thread_local const size_t number = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return number;
}

uint64_t RuntimeCore::Sum(Tally tally) const {
  uint64_t sum = 0;
  for (const Stripe& stripe : stripes_) {
    sum += stripe.counts[static_cast<size_t>(tally)].load(std::memory_order_seq_cst);
  }
  return sum;
}

void RuntimeCore::RecordTimes(int64_t queued_ns, int64_t ran_ns) {
  const auto record = [](AtomicHistogram& histogram, int64_t ns) {
    histogram
        .buckets[static_cast<size_t>(
            std::bit_width(static_cast<uint64_t>(std::max<int64_t>(ns, 0))))]
        .fetch_add(1, std::memory_order_relaxed);
  };
  record(queue_ns_, queued_ns);
  record(run_ns_, ran_ns);
}

// ---- Submission ----

bool RuntimeCore::TooMuchOutstanding(double share, uint64_t bytes_more) const {
  // Ends first, so that the difference is never too small.
  const uint64_t finished = Sum(Tally::kFinished);
  const uint64_t finished_bytes = Sum(Tally::kFinishedBytes);
  const uint64_t tasks = Sum(Tally::kSubmitted) - finished;
  const uint64_t bytes = Sum(Tally::kSubmittedBytes) - finished_bytes;
  // Those that wait to be let in are counted as tasks already, the caller among them.
  const uint64_t outside = std::max<uint64_t>(1, submits_waiting_.load());
  const double others = tasks > outside ? static_cast<double>(tasks - outside) : 0;
  if (others >= share * static_cast<double>(options_.outstanding_tasks_max)) return true;
  // One that holds more than the bound alone is let in when nobody else holds anything.
  return bytes > 0 && static_cast<double>(bytes + bytes_more) >
                          std::max(share * static_cast<double>(options_.outstanding_bytes_max),
                                   static_cast<double>(bytes_more));
}

absl::Status RuntimeCore::BeginSubmit(uint64_t bytes) {
  Stripe& mine = MyStripe();
  mine.counts[static_cast<size_t>(Tally::kSubmitted)].fetch_add(1, std::memory_order_seq_cst);
  const absl::Status status = MaySubmit(bytes);
  mine.counts[static_cast<size_t>(Tally::kSubmittedBytes)].fetch_add(bytes,
                                                                     std::memory_order_relaxed);
  return status;
}

absl::Status RuntimeCore::MaySubmit(uint64_t bytes) {
  const Phase phase = phase_.load(std::memory_order_seq_cst);
  if (phase != Phase::kOpen && !(phase == Phase::kDraining && scheduler_->OnWorker())) [[unlikely]]
    return absl::UnavailableError("the runtime is shut down");
  if (scheduler_->OnWorker()) return absl::OkStatus();
  static thread_local uint32_t submits = 0;
  if (++submits % std::min<uint64_t>(kOutstandingCheckedEvery, options_.outstanding_tasks_max) !=
          0 &&
      bytes < std::min(kLargeSubmitBytes, options_.outstanding_bytes_max)) [[likely]] {
    return absl::OkStatus();
  }
  if (!TooMuchOutstanding(1.0, bytes)) return absl::OkStatus();
  return WaitToSubmit(bytes);
}

absl::Status RuntimeCore::WaitToSubmit(uint64_t bytes) {
  Count(Tally::kSubmitWaits);
  const absl::Time deadline = clock_->Now() + options_.submit_wait_max;
  const std::unique_ptr<Parker> parker = clock_->NewParker();
  {
    MutexLock lock(&waiters_mutex_);
    waiters_.push_back(parker.get());
  }
  waiters_count_.fetch_add(1);
  submits_waiting_.fetch_add(1);
  absl::Status status;
  while (TooMuchOutstanding(kResumeShare, bytes)) {
    const absl::Time now = clock_->Now();
    if (!accepting()) {
      status = absl::UnavailableError("the runtime is shut down");
      break;
    }
    if (now >= deadline) {
      status = absl::ResourceExhaustedError(absl::StrFormat(
          "%d tasks with %d bytes are outstanding (outstanding_tasks_max, outstanding_bytes_max), "
          "and enough of them did not end within %s (submit_wait_max)",
          Sum(Tally::kSubmitted) - Sum(Tally::kFinished),
          Sum(Tally::kSubmittedBytes) - Sum(Tally::kFinishedBytes),
          absl::FormatDuration(options_.submit_wait_max)));
      break;
    }
    parker->Park(std::min(deadline, now + kLookAgain));
  }
  submits_waiting_.fetch_sub(1);
  waiters_count_.fetch_sub(1);
  MutexLock lock(&waiters_mutex_);
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), parker.get()));
  return status;
}

void RuntimeCore::WakeWaiters() {
  MutexLock lock(&waiters_mutex_);
  for (Parker* waiter : waiters_) waiter->Unpark();
}

void RuntimeCore::Launch(Task* task, const absl::Status& refused) {
  if (!refused.ok()) [[unlikely]] {
    EndUnrun(task, FailureOf(task->name(), refused));
    return;
  }
  // Once it can be found, a shutdown may end it at any moment.
  const TaskPtr kept(task);
  static thread_local uint64_t launches = 0;
  if (++launches % kSampledOneIn == 0) task->submitted_ns_ = clock_->MonotonicNanos();
  for (const void* key : task->result_keys_) producers_.Insert(key, task);
  // Who has ended it meanwhile may have taken its keys out before the last of them was put in.
  if (task->claimed()) [[unlikely]] {
    ForgetProducer(task);
    EndUnrun(task, ShutDownError());
    return;
  }
  // A shutdown that began meanwhile may have looked for tasks before this one could be found.
  if (phase_.load(std::memory_order_seq_cst) >= Phase::kCancelling) [[unlikely]] {
    EndUnrun(task, ShutDownError());
    return;
  }
  AwaitArguments(task);
}

void RuntimeCore::AwaitArguments(Task* task) {
  if (task->dependency_count() == 0) return ArgumentReady(task);
  const TaskPtr kept(task);
  const size_t count = task->dependency_count();
  size_t pending = 0;
  for (size_t i = 0; i < count; ++i) {
    const AnyRef& ref = task->dependency(i);
    if (!ref || ref.ready()) continue;
    ++pending;
    if (task->core_kept_ == nullptr) task->core_kept_ = shared_from_this();
    task->waiting_for_.fetch_add(1, std::memory_order_relaxed);
    task->Ref();
    ref.OnReady([task, i] {
      const std::shared_ptr<void> core = task->core_kept_;
      task->core_->ArgumentSettled(task, i);
      task->Unref();
    });
  }
  // Nobody else looks at those that were there before, until the last one is.
  for (size_t i = 0; pending > 0 && pending < count && i < count; ++i) {
    const AnyRef& ref = task->dependency(i);
    if (ref && !ref.ready()) continue;
    if (FailedByArgument(task, i)) return;
  }
  ArgumentReady(task);
}

bool RuntimeCore::FailedByArgument(Task* task, size_t index) {
  if (task->reconstructible()) return false;
  const AnyRef& ref = task->dependency(index);
  if (ref.resident()) return false;
  const absl::Status error = ref.error();
  if (error.ok()) return false;
  GoOn(task, error);
  return true;
}

void RuntimeCore::ArgumentSettled(Task* task, size_t index) {
  // The last one sees to all of them. As long as it is not this thread's turn to count, the task
  // does not run, and its arguments stay.
  if (task->waiting_for_.load(std::memory_order_acquire) > 1 && FailedByArgument(task, index)) {
    // Its end is on the way; nobody needs to come to zero.
    return;
  }
  ArgumentReady(task);
}

void RuntimeCore::ArgumentReady(Task* task) {
  if (task->waiting_for_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    GoOn(task, absl::OkStatus());
  }
}

void RuntimeCore::GoOn(Task* task, const absl::Status& argument_error) {
  // A task that fails makes those that need it fail, and so on: a loop, not a recursion, so that a
  // chain of any length ends in constant stack. The list belongs to the outermost call.
  struct Step {
    TaskPtr task;
    absl::Status argument_error;
    void Take() const {
      if (argument_error.ok()) return task->core()->ArgumentsReady(task.get());
      task->core()->EndUnrun(task.get(), FailureByArgument(task->name(), argument_error));
    }
  };
  static thread_local std::vector<Step>* following = nullptr;
  if (following != nullptr) {
    following->push_back({TaskPtr(task), argument_error});
    return;
  }
  // Most tasks have nobody following.
  if (task->dependency_count() == 0) return ArgumentsReady(task);
  std::vector<Step> mine;
  following = &mine;
  Step{TaskPtr(task), argument_error}.Take();
  for (size_t i = 0; i < mine.size(); ++i) {
    // A copy: the vector grows meanwhile.
    const Step next = mine[i];
    const std::shared_ptr<void> core = next.task->core_kept_;
    next.Take();
  }
  following = nullptr;
}

void RuntimeCore::ArgumentsReady(Task* task) {
  if (task->state() != TaskState::kWaiting) return;
  for (size_t i = 0; i < task->dependency_count(); ++i) {
    const AnyRef& ref = task->dependency(i);
    if (ref.resident()) continue;
    const absl::Status error = ref.error();
    if (error.ok()) continue;
    EndUnrun(task, FailureByArgument(task->name(), error));
    return;
  }
  if (task->actor_ != nullptr) {
    task->actor_->Deliver(task);
  } else {
    admission_->Admit(task);
  }
}

void RuntimeCore::MakeReady(Task* task) {
  task->Ref();  // the queue's
  if (task->Transit(TaskState::kWaiting, TaskState::kReady)) {
    scheduler_->Enqueue(task);
  } else {
    task->Unref();
  }
}

// ---- The end of a task ----

void RuntimeCore::ForgetProducer(Task* task) {
  for (const void* key : task->result_keys_) producers_.Erase(key, task);
}

bool RuntimeCore::EndUnrun(Task* task, const absl::Status& status) {
  if (!task->Transit(TaskState::kWaiting, TaskState::kDone) &&
      !task->Transit(TaskState::kReady, TaskState::kDone)) {
    return false;
  }
  if (absl::IsCancelled(status)) Count(Tally::kCancelled);
  task->FailIfUnclaimed(status);
  Finished(task);
  return true;
}

void RuntimeCore::CallEnded(Task* task, const absl::Status& status) {
  if (TaskDetails* details = task->details_.get(); details != nullptr) {
    if (details->timeout.second != 0) timers_->Remove(details->timeout);
    details->timeout = {absl::InfinitePast(), 0};
    const TaskOptions& options = details->options;
    if (!status.ok() && details->attempts < options.max_retries && !task->claimed() &&
        !task->stop_requested() && options.retryable && options.retryable(status)) {
      const int attempt = details->attempts++;
      Count(Tally::kRetries);
      admission_->Release(task);
      const absl::Duration delay = std::min(
          options.retry_backoff * static_cast<double>(uint64_t{1} << std::min(attempt, 40)),
          options.retry_backoff_max);
      task->waiting_for_.store(1, std::memory_order_relaxed);
      const TaskPtr kept(task);
      task->Transit(TaskState::kRunning, TaskState::kWaiting);
      const Timers::Handle retry =
          timers_->At(clock_->Now() + delay, [this, kept] { ArgumentReady(kept.get()); });
      if (retry.second == 0) EndUnrun(task, ShutDownError());
      // Who cancelled it meanwhile may have found it running, and left its end to us. So may a
      // shutdown, which either finds it waiting or is seen here.
      std::atomic_thread_fence(std::memory_order_seq_cst);
      if (task->claimed() || task->stop_requested() ||
          phase_.load(std::memory_order_seq_cst) >= Phase::kCancelling) {
        EndUnrun(task, ShutDownError());
      }
      return;
    }
  }
  if (!status.ok()) {
    if (task->actor_ != nullptr) task->actor_->CallFailed(status);
    task->FailIfUnclaimed(FailureOf(task->name(), status));
  }
  task->Transit(TaskState::kRunning, TaskState::kDone);
  if (!task->reconstructible()) {
    task->ForgetCall();
    admission_->Release(task);
    task->dependencies_.clear();
  }
  Finished(task);
}

void RuntimeCore::Finished(Task* task) {
  admission_->Release(task);
  if (task->failed_) Count(Tally::kFailed);
  // It may be the task that keeps it.
  ActorCore* const actor = task->actor_;
  if (actor != nullptr) actor->Ref();
  Stripe& mine = MyStripe();
  mine.counts[static_cast<size_t>(Tally::kFinishedBytes)].fetch_add(task->held_bytes_,
                                                                    std::memory_order_relaxed);
  if (task->reconstructible()) {
    const TaskPtr kept(task);
    task->Unref();
    RunAgain(task);
  } else {
    task->Unref();
  }
  if (actor != nullptr) actor->CallFinished();
  mine.counts[static_cast<size_t>(Tally::kFinished)].fetch_add(1, std::memory_order_seq_cst);
  if (waiters_count_.load(std::memory_order_seq_cst) > 0) [[unlikely]]
    WakeWaiters();
  if (actor != nullptr) actor->Unref();
}

void RuntimeCore::OnTimeout(Task* task) {
  if (task->state() != TaskState::kRunning) return;
  const absl::Duration timeout = task->details_->options.timeout;
  // The result is settled first: a task that stops when it is asked to has missed its time.
  if (task->FailIfUnclaimed(
          FailureOf(task->name(), absl::DeadlineExceededError(absl::StrCat(
                                      "still running after ", absl::FormatDuration(timeout)))))) {
    Count(Tally::kTimeouts);
  }
  task->RequestStop();
}

bool RuntimeCore::Cancel(const void* key, absl::string_view reason) {
  Task* const task = producers_.Find(key);
  if (task == nullptr) return false;
  const absl::Status status = FailureOf(task->name(), absl::CancelledError(reason));
  bool cancelled = EndUnrun(task, status);
  if (!cancelled) {
    cancelled = task->FailIfUnclaimed(status);
    if (cancelled) Count(Tally::kCancelled);
    task->RequestStop();
    // It may have been on its way to another attempt.
    EndUnrun(task, status);
  }
  task->Unref();
  return cancelled;
}

// ---- Waits of workers ----

bool RuntimeCore::TryRunInline(const void* key) {
  if (scheduler_->MySlot() < 0 || scheduler_->StackLeft() < kStackLeftMin) return false;
  Task* const task = producers_.Find(key);
  if (task == nullptr) return false;
  const bool mine =
      task->actor_ == nullptr && task->Transit(TaskState::kReady, TaskState::kRunning);
  if (mine) {
    Count(Tally::kRunInline);
    task->RunClaimed();
  }
  task->Unref();
  return mine;
}

absl::Status RuntimeCore::BeforeWait(absl::Span<const void* const> keys, size_t count,
                                     bool unbounded, absl::FunctionRef<bool()> ready) {
  // What all have to be waited for may as well be done here; with a deadline it may not.
  if (unbounded && count == keys.size()) {
    for (const void* key : keys) TryRunInline(key);
    if (ready()) return absl::OkStatus();
  }
  return scheduler_->BeginBlocking(ready);
}

void RuntimeCore::AfterWait() { scheduler_->EndBlocking(); }

// ---- Actors ----

absl::Status RuntimeCore::RegisterActor(const std::string& name, ActorCore* actor) {
  MutexLock lock(&actors_mutex_);
  if (actor_names_.emplace(name, actor).second) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("there is an actor named ", name, " already"));
}

void RuntimeCore::UnregisterActor(const std::string& name, ActorCore* actor) {
  MutexLock lock(&actors_mutex_);
  const auto found = actor_names_.find(name);
  if (found != actor_names_.end() && found->second == actor) actor_names_.erase(found);
}

ActorCore* RuntimeCore::FindActor(const std::string& name) {
  MutexLock lock(&actors_mutex_);
  const auto found = actor_names_.find(name);
  if (found == actor_names_.end() || !found->second->AddHandleIfAny()) return nullptr;
  return found->second;
}

void RuntimeCore::AddActor(ActorCore* actor) {
  actor->Ref();
  MutexLock lock(&actors_mutex_);
  actors_.push_back(actor);
}

void RuntimeCore::RemoveActor(ActorCore* actor) {
  {
    MutexLock lock(&actors_mutex_);
    const auto found = std::find(actors_.begin(), actors_.end(), actor);
    if (found == actors_.end()) return;
    *found = actors_.back();
    actors_.pop_back();
  }
  actor->Unref();
}

// ---- The whole ----

bool RuntimeCore::Quiet() const {
  // Ends first: if as many began later as had ended before, nothing was on its way in between.
  const uint64_t finished = Sum(Tally::kFinished);
  return Sum(Tally::kSubmitted) == finished;
}

bool RuntimeCore::AwaitQuiet(absl::Time deadline) {
  const std::unique_ptr<Parker> parker = clock_->NewParker();
  {
    MutexLock lock(&waiters_mutex_);
    waiters_.push_back(parker.get());
  }
  waiters_count_.fetch_add(1);
  // Once is enough: what comes later is refused.
  bool quiet = false;
  while (!(quiet = Quiet())) {
    const absl::Time now = clock_->Now();
    if (now >= deadline) break;
    parker->Park(std::min(deadline, now + kLookAgain));
  }
  waiters_count_.fetch_sub(1);
  MutexLock lock(&waiters_mutex_);
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), parker.get()));
  return quiet;
}

void RuntimeCore::CancelAll(const absl::Status& status) {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // CallEnded has the other
  const std::vector<Task*> tasks = producers_.All();
  // First those that do not run: else a task that stops would make way for one of them.
  for (Task* task : tasks) EndUnrun(task, FailureOf(task->name(), status));
  for (Task* task : tasks) {
    // One that has run meanwhile may wait for another attempt.
    if (!EndUnrun(task, FailureOf(task->name(), status))) task->RequestStop();
    task->Unref();
  }
}

absl::Status RuntimeCore::Shutdown(bool drain, absl::Duration timeout) {
  if (scheduler_->OnWorker()) {
    return absl::FailedPreconditionError(
        "a task cannot shut down its runtime: it would wait for itself");
  }
  MutexLock lock(&shutdown_mutex_);
  if (stopped_) return absl::OkStatus();
  absl::Time deadline = clock_->Now() + timeout;
  absl::Status status;
  if (drain) {
    phase_.store(Phase::kDraining, std::memory_order_seq_cst);
    if (!AwaitQuiet(deadline)) {
      status = absl::DeadlineExceededError(absl::StrFormat(
          "%d tasks had not ended after %s; what had not started of them was cancelled",
          Sum(Tally::kSubmitted) - Sum(Tally::kFinished), absl::FormatDuration(timeout)));
      deadline = clock_->Now() + options_.shutdown_wait_max;
    }
  }
  phase_.store(Phase::kCancelling, std::memory_order_seq_cst);
  CancelAll(ShutDownError());
  if (!AwaitQuiet(deadline)) {
    std::string names;
    int named = 0;
    for (Task* task : producers_.All()) {
      if (named++ < kRunningNamedMax) absl::StrAppend(&names, " ", task->name());
      task->FailIfUnclaimed(FailureOf(task->name(), ShutDownError()));
      task->Unref();
    }
    return absl::DeadlineExceededError(
        absl::StrCat("tasks still run that were asked to stop, and keep their threads:", names,
                     "; Shutdown may be called again"));
  }
  timers_->Stop();
  admission_->Stop();
  if (!scheduler_->Stop(std::max(deadline, clock_->Now() + absl::Seconds(1)))) {
    return absl::DeadlineExceededError("threads of the executor do not come back");
  }
  // No call runs any more: the objects can go.
  std::vector<ActorCore*> actors;
  {
    MutexLock actors_lock(&actors_mutex_);
    actors.swap(actors_);
    actor_names_.clear();
  }
  for (ActorCore* actor : actors) {
    actor->ShutDown();
    actor->Unref();
  }
  threads_ended_.store(true);
  stopped_ = true;
  phase_.store(Phase::kStopped, std::memory_order_seq_cst);
  if (!options_.trace_out.empty()) status.Update(trace_.Write(options_.trace_out));
  return status;
}

void RuntimeCore::Detach() {
  attached_.store(false, std::memory_order_release);
  // Threads that did not come back use it; then it goes with the last of them.
  if (!threads_ended_.load()) return;
  owned_store_.reset();
  owned_executor_.reset();
}

void RuntimeCore::WatchProgress(absl::Time when) {
  timers_->At(when, [this] {
    const absl::Time again = admission_->CheckProgress(clock_->Now());
    if (again < absl::InfiniteFuture()) WatchProgress(again);
  });
}

void RuntimeCore::SampleStore() {
  const StoreStats stats = store_->Stats();
  const int64_t now_ns = clock_->MonotonicNanos();
  trace_.AddCounter("spilled bytes", now_ns, static_cast<int64_t>(stats.spilled_bytes));
  trace_.AddCounter("restored bytes", now_ns, static_cast<int64_t>(stats.restored_bytes));
  trace_.AddCounter("memory used bytes", now_ns, static_cast<int64_t>(stats.memory_used_bytes));
  timers_->At(clock_->Now() + kStoreSampledEvery, [this] { SampleStore(); });
}

RuntimeStats RuntimeCore::Stats() {
  RuntimeStats stats;
  stats.finished = Sum(Tally::kFinished);
  const uint64_t finished_bytes = Sum(Tally::kFinishedBytes);
  stats.submitted = Sum(Tally::kSubmitted);
  stats.outstanding = stats.submitted - stats.finished;
  stats.outstanding_bytes = Sum(Tally::kSubmittedBytes) - finished_bytes;
  stats.blocked = scheduler_->blocked();
  stats.admission_waiting = admission_->waiting();
  stats.fetching = admission_->fetching();
  stats.admitted_bytes = admission_->admitted_bytes();
  stats.failed = Sum(Tally::kFailed);
  stats.cancelled = Sum(Tally::kCancelled);
  stats.retries = Sum(Tally::kRetries);
  stats.timeouts = Sum(Tally::kTimeouts);
  stats.run_inline = Sum(Tally::kRunInline);
  stats.reconstructions = Sum(Tally::kReconstructions);
  stats.no_progress_failures = Sum(Tally::kNoProgressFailures);
  stats.submit_waits = Sum(Tally::kSubmitWaits);
  stats.actors_created = Sum(Tally::kActorsCreated);
  stats.actors_alive = stats.actors_created - Sum(Tally::kActorsEnded);
  stats.actors_died = Sum(Tally::kActorsDied);
  stats.actor_restarts = Sum(Tally::kActorRestarts);
  stats.checkpoints = Sum(Tally::kCheckpoints);
  for (size_t i = 0; i < stats.queue_ns.buckets.size(); ++i) {
    stats.queue_ns.buckets[i] = queue_ns_.buckets[i].load(std::memory_order_relaxed);
    stats.run_ns.buckets[i] = run_ns_.buckets[i].load(std::memory_order_relaxed);
  }
  return stats;
}

}  // namespace spillway::internal
