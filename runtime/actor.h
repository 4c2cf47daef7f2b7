// Actors: objects that live in a runtime, and are called one call after the other.
//
//     class Counter {
//      public:
//       explicit Counter(int start) : count_(start) {}
//       int Add(int n) { return count_ += n; }
//      private:
//       int count_;
//     };
//
//     ActorHandle<Counter> counter = runtime.CreateActor<Counter>({.name = "counter"}, 10);
//     ObjectRef<int> sum = counter.Call(&Counter::Add, 5);          // at once; *sum.Get() is 15
//
// Calls are submitted like tasks: arguments may be refs, results are objects, errors travel. The
// calls of one caller (a task, or a thread outside of tasks) run in the order in which it made
// them; one waits for the arguments of those before it, not for other callers'.
//
// An actor whose class has
//
//     S SaveState() const;              any S that can be stored
//     void LoadState(const S& state);   or a parameter that S's view converts to; or returning
//     Status
//
// can be saved: every so many calls (ActorOptions::checkpoint_every), or by Checkpoint(). A method
// that returns Fatal(status) says that the object cannot go on: see ActorOptions::max_restarts.
//
// An actor whose class has a static Create(args...) that returns absl::StatusOr<std::unique_ptr<A>>
// is made by it, otherwise by its constructor. That happens on a worker, after CreateActor has
// returned; if it fails, all calls fail with its error, and so does status().
//
// Thread-safety: as a shared_ptr. Different handles of one actor may be used by different threads.
#ifndef SPILLWAY_RUNTIME_ACTOR_H_
#define SPILLWAY_RUNTIME_ACTOR_H_

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/actor_options.h"
#include "runtime/internal/actor_core.h"
#include "runtime/internal/submit.h"
#include "runtime/internal/task_impl.h"

namespace spillway {

class Runtime;

// The actor goes when its last handle is gone and its last call has ended.
template <typename A>
class ActorHandle {
 public:
  ActorHandle() = default;
  ActorHandle(const ActorHandle& other) : actor_(other.actor_) {
    if (actor_ != nullptr) actor_->AddHandle();
  }
  ActorHandle(ActorHandle&& other) noexcept : actor_(std::exchange(other.actor_, nullptr)) {}
  ActorHandle& operator=(ActorHandle other) noexcept {
    std::swap(actor_, other.actor_);
    return *this;
  }
  ~ActorHandle() {
    if (actor_ != nullptr) actor_->DropHandle();
  }

  explicit operator bool() const { return actor_ != nullptr; }

  // Calls a method, soon; its result, as Runtime::Submit's. Waits for room in a full mailbox, and
  // for nothing else. Errors of the result besides the method's own: what status() says of an actor
  // that has ended; FailedPrecondition after Stop; Cancelled by Kill; ResourceExhausted if the
  // mailbox stays full; Unavailable after the runtime's shutdown. After the runtime's destruction,
  // and through an empty handle, the ref is empty.
  template <typename Method, typename... Args>
  auto Call(Method method, Args&&... args) const;

  // Saves the state, after the calls before it. The result's errors: FailedPrecondition if the
  // class has no SaveState and LoadState, and those of ObjectStore::Put.
  ObjectRef<Done> Checkpoint() const;
  // The last state that was saved, as the type that SaveState returns; empty if there is none.
  AnyRef LastCheckpoint() const { return actor_ == nullptr ? AnyRef() : actor_->checkpoint(); }

  // Takes no more calls; the actor ends when those that it has taken are over.
  void Stop() const {
    if (actor_ != nullptr) actor_->Stop();
  }
  // Fails all calls that wait with Cancelled; ends the actor when the call that runs, which is
  // asked to stop, is over.
  void Kill() const {
    if (actor_ != nullptr) actor_->Kill();
  }

  // OK while the actor lives or is being made; else why it has ended, or could not be made.
  absl::Status status() const {
    return actor_ == nullptr ? absl::InvalidArgumentError("an empty handle") : actor_->status();
  }
  std::string name() const { return actor_ == nullptr ? std::string() : actor_->name(); }

 private:
  friend class Runtime;
  explicit ActorHandle(internal::ActorCore* actor) : actor_(actor) {}

  internal::ActorCore* actor_ = nullptr;  // one handle's worth
};

// ---- Implementation ----

namespace internal {

// What is called on the worker for a method: the object comes from the actor.
template <typename A, typename Method>
struct MethodCall {
  using SpillwayParameters = typename MemberParameters<Method>::type;

  template <typename... Args>
  auto operator()(Args&&... args)
      -> decltype((std::declval<A&>().*std::declval<Method>())(std::forward<Args>(args)...)) {
    return (static_cast<A*>(actor->object())->*method)(std::forward<Args>(args)...);
  }

  ActorCore* actor;
  Method method;
};

struct CheckpointCall {
  using SpillwayParameters = std::tuple<>;
  absl::Status operator()() { return actor->SaveCheckpoint(); }
  ActorCore* actor;
};

template <typename A>
struct SavedStateOf {
  static constexpr bool kExists = false;
};
template <typename A>
requires requires(const A& actor) { actor.SaveState(); }
struct SavedStateOf<A> {
  static constexpr bool kExists = true;
  using Type = StoredType<std::remove_cvref_t<decltype(std::declval<const A&>().SaveState())>>;
};

}  // namespace internal

template <typename A>
template <typename Method, typename... Args>
auto ActorHandle<A>::Call(Method method, Args&&... args) const {
  static_assert(std::is_member_function_pointer_v<Method>,
                "Call takes a pointer to a method of the actor's class, as in "
                "handle.Call(&Counter::Add, 5).");
  return internal::SubmitCall(actor_, internal::MethodCall<A, Method>{actor_, method},
                              std::forward<Args>(args)...);
}

template <typename A>
ObjectRef<Done> ActorHandle<A>::Checkpoint() const {
  return internal::SubmitCall(actor_, internal::CheckpointCall{actor_});
}

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_ACTOR_H_
