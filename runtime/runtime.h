// The runtime: tasks and actors over objects that may not fit in memory.
//
//     auto runtime = Runtime::Start(RuntimeOptions(), OpenStore(store_options).value()).value();
//
//     ObjectRef<std::vector<double>> data = runtime->Put(samples).value();
//     ObjectRef<double> norm = runtime->Submit(
//         [](absl::Span<const double> values) { return Norm(values); }, data);     // no copy
//     ObjectRef<double> twice = runtime->Submit([](double x) { return 2 * x; }, norm);
//     double result = *twice.Get().value();                                        // waits
//
// A task runs once all its arguments have values and, if they are large, are in memory; its result
// is an object like any other: it may be spilled, it is counted, and goes with its last ref. Tasks
// may submit tasks and get results, to any depth. README.md says what is guaranteed, and the
// limits.
//
// Thread-safety: every method may be called from any thread at any time, from inside tasks too, but
// for Shutdown and the destructor.
#ifndef SPILLWAY_RUNTIME_RUNTIME_H_
#define SPILLWAY_RUNTIME_RUNTIME_H_

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "runtime/actor.h"
#include "runtime/actor_options.h"
#include "runtime/current_task.h"  // IWYU pragma: export
#include "runtime/internal/runtime_core.h"
#include "runtime/internal/submit.h"
#include "runtime/runtime_options.h"
#include "runtime/runtime_stats.h"
#include "runtime/task_options.h"
#include "store/object_store.h"

namespace spillway {

enum class ShutdownMode {
  kDrain,   // what was submitted runs to its end
  kCancel,  // what has not started fails with Unavailable, what runs is asked to stop
};

class Runtime {
 public:
  // A runtime over a store of its own, which ends with it, or over one of the caller's, which must
  // outlive it. InvalidArgument: ValidateRuntimeOptions says why, or there is no store.
  static absl::StatusOr<std::unique_ptr<Runtime>> Start(const RuntimeOptions& options,
                                                        std::unique_ptr<ObjectStore> store);
  static absl::StatusOr<std::unique_ptr<Runtime>> Start(const RuntimeOptions& options,
                                                        ObjectStore* store);
  // Shutdown(kCancel, RuntimeOptions::shutdown_wait_max). Tasks that do not stop even then keep
  // their threads and an own store until they do.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Has fn(args...) called, soon, on a worker. Returns at once:
  //
  //     fn returns                the refs                        fails with
  //     R                         ObjectRef<R>                    an exception, as Internal
  //     absl::StatusOr<R>         as for R                        its error
  //     absl::Status, void        ObjectRef<Done>                 its error
  //     std::tuple<A, B, ...>     tuple of ObjectRef<A>, ...
  //     std::vector<R>, with NumReturns{n}: std::vector<ObjectRef<R>>
  //
  // Arguments are values, which the task keeps, or refs. A ref is waited for, and fn gets what its
  // parameter asks for: a copy (T, const T&), the view without a copy (ViewOf<T>, as a string_view
  // or a span; ObjectView<T>), or for an ObjectRef<T> parameter the ref itself, which is then not
  // waited for. The same for a std::vector of refs. If fn's first parameter is a std::stop_token,
  // it tells of cancelling.
  //
  // Errors of the result, besides fn's own: those of an argument, with the names of the tasks on
  // the way; Cancelled; DeadlineExceeded (TaskOptions::timeout); ResourceExhausted (arguments that
  // do not fit in memory together, a result that does not, RuntimeOptions' bounds); Unavailable
  // after shutdown. If the store has no room for even one more object, the ref is empty, which is
  // logged.
  //
  // From outside of tasks, waits while too much is outstanding (RuntimeOptions); from inside never.
  template <typename Fn, typename... Args>
  auto Submit(Fn&& fn, Args&&... args) {
    if constexpr (std::is_same_v<std::decay_t<Fn>, TaskOptions>) {
      return SubmitWith(fn, std::forward<Args>(args)...);
    } else if constexpr (std::is_same_v<std::decay_t<Fn>, NumReturns>) {
      return SubmitMany(fn, std::forward<Args>(args)...);
    } else {
      return internal::SubmitTask<false>(core_.get(), nullptr, 1, std::forward<Fn>(fn),
                                         std::forward<Args>(args)...);
    }
  }

  // Has the task that is to produce `ref` cancelled: one that has not started never will, one that
  // runs is asked to stop; the result, and all of the task's, is Cancelled, and so are those that
  // need it. False if there is nothing to cancel: it has its result, or no task makes it.
  bool Cancel(const AnyRef& ref) { return core_->Cancel(ref.key(), "the task was cancelled"); }
  template <typename T>
  bool Cancel(const ObjectRef<T>& ref) {
    return Cancel(ref.any());
  }

  // ---- Objects ----
  // As ObjectStore::Put.
  template <typename V>
  absl::StatusOr<ObjectRef<StoredType<V>>> Put(const V& value, const PutOptions& options = {}) {
    return store()->Put(value, options);
  }
  // As ObjectRef::Get, but the value must come within `timeout`: DeadlineExceeded.
  template <typename T>
  absl::StatusOr<ObjectView<T>> Get(const ObjectRef<T>& ref, absl::Duration timeout) const {
    GetOptions options;
    options.wait_for_value_max = timeout;
    return ref.Get(options);
  }
  // Waits until `num_ready` of the refs are ready, with a value or an error, or `timeout` has
  // passed. Whether each is ready. Restores and decodes nothing. REQUIRES: num_ready <=
  // refs.size(), no ref is empty.
  template <typename T>
  std::vector<bool> Wait(const std::vector<ObjectRef<T>>& refs, size_t num_ready,
                         absl::Duration timeout) const {
    std::vector<AnyRef> any;
    any.reserve(refs.size());
    for (const ObjectRef<T>& ref : refs) any.push_back(ref.any());
    return store()->Wait(any, num_ready, timeout);
  }
  ObjectStore* store() const { return core_->store(); }

  // ---- Actors (actor.h) ----
  // An actor made from the arguments, which may be refs, on a worker. If its name is taken,
  // status() and all calls are AlreadyExists.
  template <typename A, typename... Args>
  ActorHandle<A> CreateActor(const ActorOptions& options, Args&&... args);
  // The actor of that name. NotFound; FailedPrecondition if it is no A.
  template <typename A>
  absl::StatusOr<ActorHandle<A>> FindActor(const std::string& name) const;

  // ---- The whole ----
  // Ends the runtime. No more tasks are taken; then, by `mode`, what there is runs to its end or is
  // cancelled. DeadlineExceeded if that takes longer than `timeout`: after a drain, the rest has
  // been cancelled by then and the runtime may have ended; otherwise it has not, since tasks still
  // run, and Shutdown may be called again. Idempotent. FailedPrecondition from inside a task.
  absl::Status Shutdown(ShutdownMode mode, absl::Duration timeout);

  RuntimeStats Stats() const { return core_->Stats(); }
  int workers() const { return core_->scheduler().workers(); }
  // Writes the timeline as it is now (RuntimeOptions::trace_events_max). FailedPrecondition if none
  // is kept; Internal if the file cannot be written.
  absl::Status WriteTrace(const std::string& path) const;

 private:
  explicit Runtime(std::shared_ptr<internal::RuntimeCore> core) : core_(std::move(core)) {}

  template <typename Fn, typename... Args>
  auto SubmitWith(const TaskOptions& options, Fn&& fn, Args&&... args) {
    return internal::SubmitTask<false>(core_.get(), &options, 1, std::forward<Fn>(fn),
                                       std::forward<Args>(args)...);
  }
  template <typename Fn, typename... Args>
  auto SubmitMany(const NumReturns& returns, Fn&& fn, Args&&... args) {
    return internal::SubmitTask<true>(core_.get(), &returns.options, returns.count,
                                      std::forward<Fn>(fn), std::forward<Args>(args)...);
  }

  const std::shared_ptr<internal::RuntimeCore> core_;
};

}  // namespace spillway

#include "runtime/internal/create_actor.h"  // IWYU pragma: export

#endif  // SPILLWAY_RUNTIME_RUNTIME_H_
