// A task of a certain callable, with certain arguments and results.
#ifndef SPILLWAY_RUNTIME_INTERNAL_TASK_IMPL_H_
#define SPILLWAY_RUNTIME_INTERNAL_TASK_IMPL_H_

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "runtime/internal/arguments.h"
#include "runtime/internal/callable.h"
#include "runtime/internal/runtime_core.h"
#include "runtime/internal/task.h"
#include "runtime/internal/task_error.h"
#include "store/object_store.h"

namespace spillway::internal {

// ---- Results ----
// Each has: Refs, what the caller gets; Make, the promises; Set(value); Fail.

// One object.
template <typename V>
struct SingleResult {
  using Stored = StoredType<V>;
  using Refs = ObjectRef<Stored>;
  Promise<Stored> promise;

  template <typename AddKey>
  absl::Status Make(ObjectStore* store, const PutOptions& options, Refs* refs, AddKey& add_key) {
    absl::StatusOr<Pending<Stored>> pending = store->MakePending<Stored>(options);
    if (!pending.ok()) return pending.status();
    add_key(pending->ref.any());
    *refs = std::move(pending->ref);
    promise = std::move(pending->promise);
    return absl::OkStatus();
  }
  // A result that is not asked for, in a later run, is left as it is.
  absl::Status Set(V&& value) { return promise ? promise.Set(value) : absl::OkStatus(); }
  absl::Status TakePromise(size_t, AnyPromise any) {
    absl::StatusOr<Promise<Stored>> typed = std::move(any).As<Stored>();
    if (typed.ok()) promise = *std::move(typed);
    return typed.status();
  }
  void Fail(const absl::Status& status) {
    if (promise) promise.Fail(status);
  }
};

// A tuple: an object for each element.
template <typename Tuple>
struct TupleResult;
template <typename... V>
struct TupleResult<std::tuple<V...>> {
  using Refs = std::tuple<ObjectRef<StoredType<V>>...>;
  std::tuple<SingleResult<V>...> parts;

  template <typename AddKey>
  absl::Status Make(ObjectStore* store, const PutOptions& options, Refs* refs, AddKey& add_key) {
    return MakeParts(store, options, refs, add_key, std::index_sequence_for<V...>());
  }
  absl::Status Set(std::tuple<V...>&& value) {
    return SetParts(std::move(value), std::index_sequence_for<V...>());
  }
  absl::Status TakePromise(size_t index, AnyPromise any) {
    size_t at = 0;
    absl::Status status;
    std::apply(
        [&](auto&... part) {
          ((at++ == index ? static_cast<void>(status = part.TakePromise(0, std::move(any)))
                          : static_cast<void>(0)),
           ...);
        },
        parts);
    return status;
  }
  void Fail(const absl::Status& status) {
    std::apply([&](auto&... part) { (part.Fail(status), ...); }, parts);
  }

 private:
  template <typename AddKey, size_t... I>
  absl::Status MakeParts(ObjectStore* store, const PutOptions& options, Refs* refs, AddKey& add_key,
                         std::index_sequence<I...>) {
    absl::Status status;
    ((status = status.ok() ? std::get<I>(parts).Make(store, options, &std::get<I>(*refs), add_key)
                           : status),
     ...);
    return status;
  }
  template <size_t... I>
  absl::Status SetParts(std::tuple<V...>&& value, std::index_sequence<I...>) {
    absl::Status status;
    ((status = status.ok() ? std::get<I>(parts).Set(std::move(std::get<I>(value))) : status), ...);
    return status;
  }
};

// As many objects as NumReturns says, from the elements of a vector.
template <typename E>
struct VectorResult {
  using Refs = std::vector<ObjectRef<StoredType<E>>>;
  size_t count = 0;
  std::vector<SingleResult<E>> parts;

  template <typename AddKey>
  absl::Status Make(ObjectStore* store, const PutOptions& options, Refs* refs, AddKey& add_key) {
    refs->resize(count);
    parts.resize(count);
    for (size_t i = 0; i < count; ++i) {
      if (absl::Status status = parts[i].Make(store, options, &(*refs)[i], add_key); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }
  absl::Status Set(std::vector<E>&& values) {
    if (values.size() != count) {
      return absl::FailedPreconditionError(absl::StrCat("the task returned ", values.size(),
                                                        " elements, and was to return ", count,
                                                        " (NumReturns)"));
    }
    for (size_t i = 0; i < count; ++i) {
      E value = std::move(values[i]);
      if (absl::Status status = parts[i].Set(std::move(value)); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  absl::Status TakePromise(size_t index, AnyPromise any) {
    return parts[index].TakePromise(0, std::move(any));
  }
  void Fail(const absl::Status& status) {
    for (SingleResult<E>& part : parts) part.Fail(status);
  }
};

template <typename Value, bool kMany>
struct SelectResult {
  using type = SingleResult<Value>;
};
template <typename... V>
struct SelectResult<std::tuple<V...>, false> {
  using type = TupleResult<std::tuple<V...>>;
};
template <typename Value>
struct SelectResult<Value, true> {
  static_assert(IsVector<Value>::value,
                "A task submitted with NumReturns must return a std::vector, whose elements become "
                "objects of their own.");
  using type = VectorResult<typename IsVector<Value>::Element>;
};

// ---- The task ----

template <typename Fn, bool kMany, typename... A>
struct TaskTypes {
  using Parameters = typename ParametersOf<Fn>::type;
  static constexpr bool kToken = TakesStopToken<Parameters>::value;
  static constexpr size_t kFirst = kToken ? 1 : 0;

  template <size_t... I>
  static constexpr bool CountAgrees() {
    if constexpr (std::is_void_v<Parameters>) {
      return true;
    } else {
      return std::tuple_size_v<Parameters> == sizeof...(A) + kFirst;
    }
  }
  static_assert(CountAgrees<>(),
                "A task gets another number of arguments than its callable has parameters (a "
                "std::stop_token as the first one is passed by the runtime).");

  template <typename Sequence>
  struct Arguments;
  template <size_t... I>
  struct Arguments<std::index_sequence<I...>> {
    using type = std::tuple<ArgumentFor<A, typename ParameterAt<Parameters, I + kFirst>::type>...>;
  };
  using ArgumentTuple =
      typename Arguments<std::conditional_t<CountAgrees<>(), std::index_sequence_for<A...>,
                                            std::index_sequence<>>>::type;

  template <typename Tuple>
  struct Invoked;
  template <typename... Argument>
  struct Invoked<std::tuple<Argument...>> {
    template <typename Arg>
    using Passed = decltype(std::declval<typename Arg::Resolved&>().Pass());
    static constexpr bool kPossible = [] {
      if constexpr (kToken) {
        return std::is_invocable_v<Fn&, std::stop_token, Passed<Argument>...>;
      } else {
        return std::is_invocable_v<Fn&, Passed<Argument>...>;
      }
    }();
    static_assert(kPossible,
                  "A task's callable cannot be called with its arguments. Values are passed as "
                  "rvalues: a parameter may be a value, a const reference or an rvalue reference, "
                  "not a reference that can be written through.");
    static constexpr bool kCopyable = (Argument::kCopyable && ...);
    static auto Type() {
      if constexpr (!kPossible) {
        return std::type_identity<void>();
      } else if constexpr (kToken) {
        return std::type_identity<
            std::invoke_result_t<Fn&, std::stop_token, Passed<Argument>...>>();
      } else {
        return std::type_identity<std::invoke_result_t<Fn&, Passed<Argument>...>>();
      }
    }
  };
  using Returned = std::remove_cvref_t<typename decltype(Invoked<ArgumentTuple>::Type())::type>;
  static constexpr bool kCopyable = Invoked<ArgumentTuple>::kCopyable;
  using Value = typename ResultOf<Returned>::Value;
  static_assert(!std::is_pointer_v<Value> || std::is_same_v<Value, const char*>,
                "A task must return a value: a pointer means nothing once the task is over.");
  using Result = typename SelectResult<Value, kMany>::type;
  using Refs = typename Result::Refs;
};

template <typename Fn, bool kMany, typename... A>
class TaskImpl final : public Task {
 public:
  using Types = TaskTypes<Fn, kMany, A...>;
  using Refs = typename Types::Refs;

  template <typename F, typename... Args>
  TaskImpl(RuntimeCore* core, F&& fn, Args&&... args)
      : Task(core), body_(std::in_place, this, std::forward<F>(fn), std::forward<Args>(args)...) {
    held_bytes_ = sizeof(*this) + body_->HeldByArguments();
  }

  void SetCount(size_t count) requires kMany { result_.count = count; }
  uint64_t held_bytes() const { return held_bytes_; }

  // Makes the promises. REQUIRES: before Launch.
  absl::Status MakeResults(Refs* refs) {
    PutOptions options;
    if (details_ != nullptr) options.on_evict = details_->options.on_evict;
    const auto add = [this](const AnyRef& ref) {
      if (reconstructible()) WatchLoss(result_keys_.size(), ref);
      result_keys_.push_back(ref.key());
    };
    return result_.Make(core_->store(), options, refs, add);
  }

  // InvalidArgument if the options ask for what the arguments do not allow.
  absl::Status CheckOptions() const {
    if constexpr (!Types::kCopyable) {
      if (repeatable()) {
        return absl::InvalidArgumentError(
            "a task with an argument that cannot be copied can be neither retried nor run again "
            "(max_retries, reconstructible)");
      }
    }
    return absl::OkStatus();
  }

  void RequestStop() override {
    Task::RequestStop();
    if constexpr (Types::kToken) stop_.source.request_stop();
  }

 private:
  struct Body {
    template <typename F, typename... Args>
    explicit Body(Task* task, F&& f, Args&&... args)
        : fn(std::forward<F>(f)), arguments(Make(task, std::forward<Args>(args)...)) {}

    // Braces, so that arguments join the task in their order.
    template <typename... Args>
    static typename Types::ArgumentTuple Make(Task* task, Args&&... args) {
      return MakeEach(task, std::type_identity<typename Types::ArgumentTuple>(),
                      std::forward<Args>(args)...);
    }
    template <typename... Argument, typename... Args>
    static std::tuple<Argument...> MakeEach([[maybe_unused]] Task* task,
                                            std::type_identity<std::tuple<Argument...>>,
                                            Args&&... args) {
      return std::tuple<Argument...>{Argument(task, std::forward<Args>(args))...};
    }
    uint64_t HeldByArguments() const {
      return std::apply([](const auto&... each) { return (uint64_t{0} + ... + each.held_bytes()); },
                        arguments);
    }

    Fn fn;
    typename Types::ArgumentTuple arguments;
  };

  absl::Status Call() override { return CallWith(std::make_index_sequence<sizeof...(A)>()); }

  template <size_t... I>
  absl::Status CallWith(std::index_sequence<I...>) {
    using Returned = typename Types::Returned;
    try {
      std::tuple<std::optional<
          typename std::tuple_element_t<I, typename Types::ArgumentTuple>::Resolved>...>
          resolved;
      absl::Status status;
      ((status = status.ok() ? std::get<I>(body_->arguments).Resolve(*this, &std::get<I>(resolved))
                             : status),
       ...);
      if (!status.ok()) return status;
      const auto invoke = [&]() -> decltype(auto) {
        if constexpr (Types::kToken) {
          return std::invoke(body_->fn, stop_.source.get_token(), std::get<I>(resolved)->Pass()...);
        } else {
          return std::invoke(body_->fn, std::get<I>(resolved)->Pass()...);
        }
      };
      if constexpr (std::is_void_v<Returned>) {
        invoke();
        return Deliver(Done{});
      } else if constexpr (std::is_same_v<Returned, absl::Status>) {
        if (absl::Status returned = invoke(); !returned.ok()) return returned;
        return Deliver(Done{});
      } else if constexpr (ResultOf<Returned>::kMayFail) {
        auto returned = invoke();
        if (!returned.ok()) return returned.status();
        return Deliver(*std::move(returned));
      } else {
        typename Types::Value value = invoke();
        return Deliver(std::move(value));
      }
    } catch (...) {
      return StatusOfException();
    }
  }

  // Stores the value. What goes wrong with that is no failure of the call, which is not repeated.
  absl::Status Deliver(typename Types::Value&& value) {
    if (!Claim()) return absl::OkStatus();
    BeforeResults();
    absl::Status status;
    try {
      status = result_.Set(std::move(value));
    } catch (...) {
      status = StatusOfException();  // of a codec, or of the value's move
    }
    if (!status.ok()) {
      failed_ = true;
      result_.Fail(FailureOf(name(), status));
    }
    return absl::OkStatus();
  }

  void FailResults(const absl::Status& status) override { result_.Fail(status); }
  absl::Status TakePromise(size_t index, AnyPromise promise) override {
    return result_.TakePromise(index, std::move(promise));
  }
  void ForgetCall() override { body_.reset(); }

  struct NoStop {};
  struct WithStop {
    std::stop_source source;
  };

  std::optional<Body> body_;
  typename Types::Result result_;
  [[no_unique_address]] std::conditional_t<Types::kToken, WithStop, NoStop> stop_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_TASK_IMPL_H_
