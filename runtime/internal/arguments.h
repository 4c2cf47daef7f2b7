// Arguments of tasks: how each is kept until the task runs, and what the callable gets.
//
//     argument                  parameter                         the callable gets
//     a value                   anything it converts to           the value, moved if it runs once
//     ObjectRef<T>              ObjectRef<T>, AnyRef              the ref itself, not waited for
//                               T, const T&                       the value, decoded
//                               ObjectView<T>                     the pinned view
//                               what ViewOf<T> converts to        the view
//                               unknown (a generic lambda)        the view
//     vector<ObjectRef<T>>      vector<ObjectRef<T>>              the refs themselves
//                               vector<ObjectView<T>>             all views
//                               vector<T>                         all values, decoded
//                               unknown                           all views
#ifndef SPILLWAY_RUNTIME_INTERNAL_ARGUMENTS_H_
#define SPILLWAY_RUNTIME_INTERNAL_ARGUMENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/internal/callable.h"
#include "runtime/internal/task.h"
#include "store/object_ref.h"
#include "store/object_view.h"

namespace spillway::internal {

template <typename T>
struct RefTraits {
  static constexpr bool kIsRef = false;
  static constexpr bool kIsRefVector = false;
};
template <typename T>
struct RefTraits<ObjectRef<T>> {
  static constexpr bool kIsRef = true;
  static constexpr bool kIsRefVector = false;
  using Object = T;
};
template <typename T>
struct RefTraits<std::vector<ObjectRef<T>>> {
  static constexpr bool kIsRef = false;
  static constexpr bool kIsRefVector = true;
  using Object = T;
};

// Bytes that a value holds, as far as that is quickly said.
template <typename V>
uint64_t HeldBytes(const V& value) {
  if constexpr (requires {
                  typename V::value_type;
                  { value.size() } -> std::convertible_to<size_t>;
                }) {
    return sizeof(V) + value.size() * sizeof(typename V::value_type);
  } else {
    return sizeof(V);
  }
}

// A value. Moved to the callable if the task runs once, else copied.
template <typename V>
class ValueArgument {
 public:
  struct Resolved {
    V value;
    V&& Pass() { return std::move(value); }
  };

  ValueArgument(Task*, V value) : value_(std::move(value)) {}
  uint64_t held_bytes() const { return HeldBytes(value_); }
  static constexpr bool kCopyable = std::is_copy_constructible_v<V>;

  absl::Status Resolve(const Task& task, std::optional<Resolved>* resolved) {
    if constexpr (kCopyable) {
      if (task.repeatable()) {
        resolved->emplace(Resolved{value_});
        return absl::OkStatus();
      }
    }
    resolved->emplace(Resolved{std::move(value_)});
    return absl::OkStatus();
  }

 private:
  V value_;
};

// A ref that is passed on as an AnyRef.
class AnyRefArgument {
 public:
  struct Resolved {
    AnyRef value;
    AnyRef&& Pass() { return std::move(value); }
  };
  static constexpr bool kCopyable = true;

  template <typename T>
  AnyRefArgument(Task*, const ObjectRef<T>& ref) : value_(ref.any()) {}
  uint64_t held_bytes() const { return sizeof(AnyRef); }

  absl::Status Resolve(const Task&, std::optional<Resolved>* resolved) {
    resolved->emplace(Resolved{value_});
    return absl::OkStatus();
  }

 private:
  AnyRef value_;
};

// What a callable with a parameter P gets of an object of type T.
enum class PassAs { kView, kObjectView, kDecoded, kTable, kImpossible };

template <typename T, typename P>
constexpr PassAs HowToPass() {
  using Plain = std::remove_cvref_t<P>;
  if constexpr (std::is_same_v<Plain, AnyParameter>) {
    return PassAs::kView;
  } else if constexpr (std::is_same_v<Plain, ObjectView<T>>) {
    return PassAs::kObjectView;
  } else if constexpr (std::is_same_v<Plain, ViewOf<T>>) {
    return PassAs::kView;
  } else if constexpr (std::is_same_v<Plain, T> && Decodable<T>) {
    return PassAs::kDecoded;
  } else if constexpr (std::is_convertible_v<ViewOf<T>, P>) {
    return PassAs::kView;
  } else if constexpr (Decodable<T> && std::is_convertible_v<T, P>) {
    return PassAs::kDecoded;
  } else if constexpr (std::is_pointer_v<ViewOf<T>> &&
                       std::is_same_v<std::remove_cv_t<std::remove_pointer_t<ViewOf<T>>>, Plain> &&
                       std::is_lvalue_reference_v<P>) {
    return PassAs::kTable;
  } else {
    return PassAs::kImpossible;
  }
}

// An object of type T.
template <typename T, PassAs kHow>
class ObjectArgument {
 public:
  struct Resolved {
    std::optional<ObjectView<T>> view;
    auto Pass() -> decltype(auto) {
      if constexpr (kHow == PassAs::kObjectView) {
        return std::move(*view);
      } else if constexpr (kHow == PassAs::kTable) {
        return static_cast<std::add_lvalue_reference_t<std::remove_pointer_t<ViewOf<T>>>>(***view);
      } else {
        return ViewOf<T>(**view);
      }
    }
  };
  static constexpr bool kCopyable = true;

  ObjectArgument(Task* task, const ObjectRef<T>& ref) : at_(task->AddDependency(ref.any())) {}
  uint64_t held_bytes() const { return 0; }

  absl::Status Resolve(const Task& task, std::optional<Resolved>* resolved) {
    absl::StatusOr<ObjectRef<T>> ref = task.dependency(at_).template As<T>();
    if (!ref.ok()) return ref.status();
    absl::StatusOr<ObjectView<T>> view = ref->Get();
    if (!view.ok()) return view.status();
    resolved->emplace();
    (*resolved)->view.emplace(*std::move(view));
    return absl::OkStatus();
  }

 private:
  uint32_t at_;
};

template <typename T>
class ObjectArgument<T, PassAs::kDecoded> {
 public:
  struct Resolved {
    T value;
    T&& Pass() { return std::move(value); }
  };
  static constexpr bool kCopyable = true;

  ObjectArgument(Task* task, const ObjectRef<T>& ref) : at_(task->AddDependency(ref.any())) {}
  uint64_t held_bytes() const { return 0; }

  absl::Status Resolve(const Task& task, std::optional<Resolved>* resolved) {
    absl::StatusOr<ObjectRef<T>> ref = task.dependency(at_).template As<T>();
    if (!ref.ok()) return ref.status();
    absl::StatusOr<T> value = ref->Read();
    if (!value.ok()) return value.status();
    resolved->emplace(Resolved{*std::move(value)});
    return absl::OkStatus();
  }

 private:
  uint32_t at_;
};

// Many objects of type T, as E = ObjectView<T> or T.
template <typename T, typename E>
class ObjectsArgument {
 public:
  struct Resolved {
    std::vector<E> values;
    std::vector<E>&& Pass() { return std::move(values); }
  };
  static constexpr bool kCopyable = true;

  ObjectsArgument(Task* task, const std::vector<ObjectRef<T>>& refs)
      : first_(static_cast<uint32_t>(task->dependency_count())), count_(refs.size()) {
    for (const ObjectRef<T>& ref : refs) task->AddDependency(ref.any());
  }
  uint64_t held_bytes() const { return count_ * sizeof(AnyRef); }

  absl::Status Resolve(const Task& task, std::optional<Resolved>* resolved) {
    resolved->emplace();
    (*resolved)->values.reserve(count_);
    for (size_t i = 0; i < count_; ++i) {
      absl::StatusOr<ObjectRef<T>> ref = task.dependency(first_ + i).template As<T>();
      if (!ref.ok()) return ref.status();
      auto value = [&ref] {
        if constexpr (std::is_same_v<E, T>) {
          return ref->Read();
        } else {
          return ref->Get();
        }
      }();
      if (!value.ok()) return value.status();
      (*resolved)->values.push_back(*std::move(value));
    }
    return absl::OkStatus();
  }

 private:
  uint32_t first_;
  size_t count_;
};

// The kind of argument that an A makes for a parameter P.
template <typename A, typename P, bool kUnresolved>
struct SelectArgument {
  using type =
      std::conditional_t<RefTraits<A>::kIsRef && !std::is_same_v<std::remove_cvref_t<P>, A>,
                         AnyRefArgument, ValueArgument<A>>;
};
template <typename T, typename P>
struct SelectArgument<ObjectRef<T>, P, false> {
  static constexpr PassAs kHow = HowToPass<T, P>();
  static_assert(kHow != PassAs::kImpossible,
                "A task's parameter can be made neither from the value nor from the view of the "
                "object that a ref passed to it refers to. For an ObjectRef<T> the parameter may "
                "be T or const T& (a copy), ViewOf<T> or what it converts to (no copy), "
                "ObjectView<T>, or ObjectRef<T> for the ref itself.");
  using type = ObjectArgument<T, kHow>;
};
template <typename T, typename P>
struct SelectArgument<std::vector<ObjectRef<T>>, P, false> {
  using Plain = std::remove_cvref_t<P>;
  static constexpr bool kViews = std::is_same_v<Plain, AnyParameter> ||
                                 std::is_same_v<Plain, std::vector<ObjectView<T>>> ||
                                 std::is_same_v<Plain, absl::Span<const ObjectView<T>>>;
  static_assert(kViews || std::is_convertible_v<std::vector<T>, P>,
                "A task's parameter for a vector of refs may be std::vector<ObjectView<T>> (no "
                "copy), std::vector<T> (decoded), or std::vector<ObjectRef<T>> for the refs "
                "themselves.");
  using type = ObjectsArgument<T, std::conditional_t<kViews, ObjectView<T>, T>>;
};

// Whether the parameter takes the ref, or refs, as they are.
template <typename A, typename P>
inline constexpr bool kPassedUnresolved = (RefTraits<A>::kIsRef || RefTraits<A>::kIsRefVector)
                                              ? (std::is_same_v<std::remove_cvref_t<P>, A> ||
                                                 (RefTraits<A>::kIsRef &&
                                                  std::is_same_v<std::remove_cvref_t<P>, AnyRef>))
                                              : true;

template <typename A, typename P>
using ArgumentFor =
    typename SelectArgument<std::decay_t<A>, P, kPassedUnresolved<std::decay_t<A>, P>>::type;

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_ARGUMENTS_H_
