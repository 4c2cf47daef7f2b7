// The engine behind Runtime and ActorHandle: tasks from their submission to their end.
//
// Threads: callers', workers' (scheduler.h), one for timers, a few that fetch arguments. Under a
// lock no task is called, no callback is made and no last reference to a task is dropped, since all
// of these run code of users. An actor's lock is held while its turns are queued, which takes the
// scheduler's, and the admission's while it asks the store about arguments;
// Shutdown's is held throughout; the others are leaves.
#ifndef SPILLWAY_RUNTIME_INTERNAL_RUNTIME_CORE_H_
#define SPILLWAY_RUNTIME_INTERNAL_RUNTIME_CORE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "runtime/internal/admission.h"
#include "runtime/internal/producer_index.h"
#include "runtime/internal/scheduler.h"
#include "runtime/internal/task.h"
#include "runtime/internal/timers.h"
#include "runtime/internal/trace.h"
#include "runtime/runtime_options.h"
#include "runtime/runtime_stats.h"
#include "runtime/task_executor.h"
#include "serialization/mutex.h"
#include "store/object_store.h"
#include "store/seams.h"
#include "store/wait_hook.h"

namespace spillway::internal {

enum class Tally : uint8_t {
  kSubmitted,
  kFinished,
  kSubmittedBytes,
  kFinishedBytes,
  kStarted,
  kFailed,
  kCancelled,
  kRetries,
  kTimeouts,
  kRunInline,
  kReconstructions,
  kNoProgressFailures,
  kSubmitWaits,
  kActorsCreated,
  kActorsEnded,
  kActorsDied,
  kActorRestarts,
  kCheckpoints,
  kCount,
};

// Thread-safe.
class RuntimeCore final : public WaitHook, public std::enable_shared_from_this<RuntimeCore> {
 public:
  // Of tasks whose times are sampled, one in so many.
  static constexpr uint64_t kSampledOneIn = 16;

  static absl::StatusOr<std::shared_ptr<RuntimeCore>> Start(const RuntimeOptions& options,
                                                            std::unique_ptr<ObjectStore> owned,
                                                            ObjectStore* store);
  ~RuntimeCore() override;

  ObjectStore* store() const { return store_; }
  Clock* clock() const { return clock_; }
  Scheduler& scheduler() { return *scheduler_; }
  Admission& admission() { return *admission_; }
  Timers& timers() { return *timers_; }
  Trace& trace() { return trace_; }
  const RuntimeOptions& options() const { return options_; }

  // ---- Tasks ----
  // Waits for its turn if the caller is no task and too much is outstanding. OK, or why a task that
  // holds `bytes` may not be submitted; either way it counts as submitted, and Launch must follow.
  absl::Status BeginSubmit(uint64_t bytes);
  // Sets a task going whose results have their promises, or fails it with `refused`. Takes over the
  // first reference.
  void Launch(Task* task, const absl::Status& refused);
  // One argument, or Launch itself, is through.
  void ArgumentReady(Task* task);
  // Argument `index`, which was waited for, is: if it has failed, so does the task, at once.
  void ArgumentSettled(Task* task, size_t index);
  // To the queue of ready tasks.
  void MakeReady(Task* task);
  // Ends a task that does not run and will not. Nothing if it runs or has ended.
  bool EndUnrun(Task* task, const absl::Status& status);
  // The call has returned `status`, or the results were stored: tried again, or over.
  void CallEnded(Task* task, const absl::Status& status);
  void Finished(Task* task);
  bool Cancel(const void* key, absl::string_view reason);
  // A result of a reconstructible task is to be made again (lineage.cc).
  void ResultLost(Task* task, TaskDetails::Lost lost);
  // Sets a task that has not started on its arguments' callbacks: those that are not ready yet.
  void AwaitArguments(Task* task);
  void AwaitArgumentsAgain(Task* task) {
    task->waiting_for_.store(1, std::memory_order_relaxed);
    AwaitArguments(task);
  }
  // Before anybody can get the results.
  void ForgetProducer(Task* task);

  // ---- Names of actors ----
  absl::Status RegisterActor(const std::string& name, ActorCore* actor);
  void UnregisterActor(const std::string& name, ActorCore* actor);
  // The actor with one more handle, or null.
  ActorCore* FindActor(const std::string& name);
  // All actors that live are known here from their creation to their end.
  void AddActor(ActorCore* actor);
  void RemoveActor(ActorCore* actor);

  // ---- WaitHook, for the workers' threads ----
  absl::Status BeforeWait(absl::Span<const void* const> keys, size_t count, bool unbounded,
                          absl::FunctionRef<bool()> ready) override;
  void AfterWait() override;

  // ---- The whole ----
  // Whether the Runtime is still there.
  bool attached() const { return attached_.load(std::memory_order_acquire); }
  bool accepting() const { return phase_.load(std::memory_order_acquire) == Phase::kOpen; }
  absl::Status Shutdown(bool drain, absl::Duration timeout);
  // For the end of the Runtime: closes an owned store if nothing runs any more.
  void Detach();
  RuntimeStats Stats();
  void Count(Tally tally, uint64_t n = 1) {
    MyStripe().counts[static_cast<size_t>(tally)].fetch_add(n, std::memory_order_relaxed);
  }
  uint64_t Sum(Tally tally) const;
  void RecordTimes(int64_t queued_ns, int64_t ran_ns);
  // Arms the watch over tasks that wait for room.
  void WatchProgress(absl::Time when);

 private:
  friend class Task;

  static constexpr size_t kStripes = 16;
  enum class Phase : uint8_t { kOpen, kDraining, kCancelling, kStopped };

  struct alignas(64) Stripe {
    std::array<std::atomic<uint64_t>, static_cast<size_t>(Tally::kCount)> counts{};
  };
  struct AtomicHistogram {
    std::array<std::atomic<uint64_t>, 65> buckets{};
  };

  RuntimeCore(const RuntimeOptions& options, std::unique_ptr<ObjectStore> owned,
              ObjectStore* store);
  void Begin();
  Stripe& MyStripe() { return stripes_[MyStripeNumber()]; }
  static size_t MyStripeNumber();

  void ArgumentsReady(Task* task);
  // Whether argument `index` has an error, by which the task ends now. A reconstructible task waits
  // for all of them: in its next run, callbacks of the one before must not count.
  bool FailedByArgument(Task* task, size_t index);
  // All arguments are there, or one of them has failed: with it the task goes on, or ends.
  void GoOn(Task* task, const absl::Status& argument_error);
  // Launches a task again whose results were lost meanwhile; else it rests.
  void RunAgain(Task* task);
  void OnTimeout(Task* task);
  absl::Status MaySubmit(uint64_t bytes);
  absl::Status WaitToSubmit(uint64_t bytes);
  // Whether a submission that holds `bytes_more` would come to `share` of a bound.
  bool TooMuchOutstanding(double share, uint64_t bytes_more) const;
  bool TryRunInline(const void* key);
  void CancelAll(const absl::Status& status);
  // Waits until nothing is outstanding.
  bool AwaitQuiet(absl::Time deadline);
  bool Quiet() const;
  void WakeWaiters();
  void SampleStore();

  const RuntimeOptions options_;
  std::unique_ptr<ObjectStore> owned_store_;
  ObjectStore* const store_;
  Clock* const clock_;
  Executor* const background_;
  std::unique_ptr<TaskExecutor> owned_executor_;
  TaskExecutor* executor_ = nullptr;

  std::array<Stripe, kStripes> stripes_;
  AtomicHistogram queue_ns_;
  AtomicHistogram run_ns_;
  ProducerIndex producers_;
  Trace trace_;
  std::unique_ptr<Timers> timers_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<Scheduler> scheduler_;

  std::atomic<Phase> phase_{Phase::kOpen};
  std::atomic<uint32_t> waiters_count_{0};
  std::atomic<uint32_t> submits_waiting_{0};
  Mutex waiters_mutex_;
  std::vector<Parker*> waiters_ ABSL_GUARDED_BY(waiters_mutex_);

  Mutex actors_mutex_;
  absl::flat_hash_map<std::string, ActorCore*> actor_names_ ABSL_GUARDED_BY(actors_mutex_);
  std::vector<ActorCore*> actors_ ABSL_GUARDED_BY(actors_mutex_);  // one reference each

  Mutex shutdown_mutex_;  // one Shutdown at a time
  bool stopped_ ABSL_GUARDED_BY(shutdown_mutex_) = false;
  std::atomic<bool> threads_ended_{false};
  std::atomic<bool> attached_{true};
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_RUNTIME_CORE_H_
