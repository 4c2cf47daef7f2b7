// An actor: an object, the calls that wait for it, and what happens to it when a call goes wrong.
//
// Calls. A call whose arguments all have values goes to the mailbox, and is run in its order. A
// call with arguments that are objects, and those that the same caller makes after it, wait in the
// caller's own line until their arguments are there: so a caller's calls run in the order in which
// it made them, and no caller holds up another.
//
// Turns. While the mailbox is not empty, up to max_concurrency turns are in the scheduler's queues
// or run; each runs some calls and then queues up anew.
//
// Life. kNew -> kBuilding -> kAlive -> kDead; after a fatal failure back to kBuilding, as often as
// max_restarts says. It ends when it is killed, when it has failed for good, and, once no call is
// outstanding, when it was stopped or its last handle went.
#ifndef SPILLWAY_RUNTIME_INTERNAL_ACTOR_CORE_H_
#define SPILLWAY_RUNTIME_INTERNAL_ACTOR_CORE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/actor_options.h"
#include "runtime/internal/scheduler.h"
#include "runtime/internal/task.h"
#include "serialization/mutex.h"
#include "store/object_store.h"
#include "store/seams.h"

namespace spillway::internal {

// What the actor's type does, without the type.
struct ActorType {
  std::type_index type;
  // A new object, from the arguments of the constructor.
  std::function<absl::StatusOr<std::shared_ptr<void>>()> build;
  // Null if the type has no SaveState and LoadState.
  std::function<absl::StatusOr<AnyRef>(void* object, ObjectStore* store, const PutOptions& options)>
      save;
  std::function<absl::Status(void* object, const AnyRef& state)> load;
};

// Thread-safe.
class ActorCore final : public Runnable {
 public:
  // Calls of one turn.
  static constexpr int kCallsPerTurn = 64;

  // With one reference and one handle.
  ActorCore(std::shared_ptr<RuntimeCore> core, const ActorOptions& options, ActorType type);

  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  // Each handle is a reference too.
  void AddHandle() {
    Ref();
    handles_.fetch_add(1, std::memory_order_relaxed);
  }
  bool AddHandleIfAny();
  void DropHandle();

  // Registers the name, and begins to build the object.
  void Begin();
  // An actor that never was, because `status`.
  void Fail(const absl::Status& status);

  // The core, or null once the runtime is gone.
  std::shared_ptr<RuntimeCore> core();

  // Takes a call in: OK, or why not, after a wait if the mailbox is full. Either way the call
  // counts as outstanding until CallFinished.
  absl::Status Enter(Task* call);
  // The call's arguments have values.
  void Deliver(Task* call);
  // It has ended, however.
  void CallFinished();
  // It has failed, and its result is about to.
  void CallFailed(const absl::Status& status);

  void Stop();
  void Kill();
  // At the runtime's end, when nothing runs any more.
  void ShutDown();
  // Why there is no object and will be none; OK otherwise.
  absl::Status status() const;
  bool alive() const;
  const std::string& name() const { return options_.name; }
  std::type_index type() const { return type_.type; }

  // In a call.
  void* object() const { return object_.get(); }
  absl::Status SaveCheckpoint();
  AnyRef checkpoint() const;

  // Runnable: a turn.
  void Run() override;
  void Discard() override { Unref(); }

 private:
  enum class State : uint8_t { kNew, kBuilding, kAlive, kDead };
  // Calls to be let go of when the lock is free again: declared before it is taken.
  class Dropped;

  ~ActorCore() override;

  // The next call, in state kRunning, or null if the turn is over. `finished_one`: the one before
  // has ended.
  Task* NextCall(bool finished_one);
  // Starts turns for calls that wait, or for the end.
  void StartTurns() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ShouldEnd() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Calls of all callers whose turn has come go to the mailbox.
  void FlushDeferred(uint64_t caller, Dropped* dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FlushAllDeferred(Dropped* dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Builds the object, and loads the last checkpoint into it.
  absl::Status Build();
  void Rebuild(const absl::Status& failure);
  // Ends the actor: `why` is what calls get from now on, and what is queued.
  void End(const absl::Status& why, bool failed);
  uint64_t Queued() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeCallers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ActorOptions options_;
  ActorType type_;
  const std::shared_ptr<RuntimeCore> core_;
  std::atomic<uint32_t> refs_{1};
  std::atomic<uint32_t> handles_{1};
  std::shared_ptr<void> object_;  // changed while no call runs

  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kNew;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool killed_ ABSL_GUARDED_BY(mutex_) = false;
  bool listed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status why_dead_ ABSL_GUARDED_BY(mutex_);
  absl::Status fatal_ ABSL_GUARDED_BY(mutex_);         // not OK: to be built anew
  std::deque<Task*> mailbox_ ABSL_GUARDED_BY(mutex_);  // one reference each
  // By caller, in the order of its calls; one reference each.
  absl::flat_hash_map<uint64_t, std::deque<Task*>> deferred_ ABSL_GUARDED_BY(mutex_);
  uint64_t deferred_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Task*> running_calls_ ABSL_GUARDED_BY(mutex_);
  int turns_ ABSL_GUARDED_BY(mutex_) = 0;                 // queued or running
  uint64_t outstanding_ ABSL_GUARDED_BY(mutex_) = 0;      // calls
  std::vector<Parker*> callers_ ABSL_GUARDED_BY(mutex_);  // that wait for room
  int restarts_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t since_checkpoint_ ABSL_GUARDED_BY(mutex_) = 0;
  AnyRef checkpoint_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_ACTOR_CORE_H_
