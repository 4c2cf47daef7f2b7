// The templates of Runtime that make actors.
#ifndef SPILLWAY_RUNTIME_INTERNAL_CREATE_ACTOR_H_
#define SPILLWAY_RUNTIME_INTERNAL_CREATE_ACTOR_H_

#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "runtime/runtime.h"

namespace spillway {
namespace internal {

// An argument of a constructor: a ref becomes its value, anything else stays.
template <typename V>
absl::StatusOr<V> ConstructorArgument(const V& value) {
  return value;
}
template <typename T>
absl::StatusOr<T> ConstructorArgument(const ObjectRef<T>& ref) {
  return ref.Read();
}
template <typename V>
using ConstructorValue =
    typename decltype(ConstructorArgument(std::declval<const V&>()))::value_type;

template <typename A, typename... V>
concept HasCreate = requires(V&&... values) {
  { A::Create(std::forward<V>(values)...) } -> std::same_as<absl::StatusOr<std::unique_ptr<A>>>;
};

template <typename A, typename... Args>
absl::StatusOr<std::shared_ptr<void>> BuildActor(const std::tuple<Args...>& arguments) {
  return std::apply(
      [](const Args&... argument) -> absl::StatusOr<std::shared_ptr<void>> {
        std::tuple<absl::StatusOr<ConstructorValue<Args>>...> values{
            ConstructorArgument(argument)...};
        absl::Status status;
        std::apply(
            [&status](const auto&... value) {
              ((status = status.ok() ? value.status() : status), ...);
            },
            values);
        if (!status.ok()) return status;
        return std::apply(
            [](auto&&... value) -> absl::StatusOr<std::shared_ptr<void>> {
              if constexpr (HasCreate<A, ConstructorValue<Args>...>) {
                absl::StatusOr<std::unique_ptr<A>> made = A::Create(*std::move(value)...);
                if (!made.ok()) return made.status();
                return std::shared_ptr<void>(std::shared_ptr<A>(*std::move(made)));
              } else {
                return std::shared_ptr<void>(std::make_shared<A>(*std::move(value)...));
              }
            },
            std::move(values));
      },
      arguments);
}

template <typename A>
void AddState(ActorType* type) {
  if constexpr (SavedStateOf<A>::kExists) {
    using Saved = typename SavedStateOf<A>::Type;
    type->save = [](void* object, ObjectStore* store,
                    const PutOptions& options) -> absl::StatusOr<AnyRef> {
      auto saved = store->PutAs<Saved>(static_cast<const A*>(object)->SaveState(), options);
      if (!saved.ok()) return saved.status();
      return saved->any();
    };
    type->load = [](void* object, const AnyRef& ref) -> absl::Status {
      A& actor = *static_cast<A*>(object);
      absl::StatusOr<ObjectRef<Saved>> state = ref.As<Saved>();
      if (!state.ok()) return state.status();
      const auto load = [&actor](const auto& value) -> absl::Status {
        if constexpr (std::is_void_v<decltype(actor.LoadState(value))>) {
          actor.LoadState(value);
          return absl::OkStatus();
        } else {
          return actor.LoadState(value);
        }
      };
      if constexpr (requires(const ViewOf<Saved>& view) { actor.LoadState(view); }) {
        absl::StatusOr<ObjectView<Saved>> view = state->Get();
        if (!view.ok()) return view.status();
        return load(**view);
      } else {
        absl::StatusOr<Saved> value = state->Read();
        if (!value.ok()) return value.status();
        return load(*value);
      }
    };
  }
}

}  // namespace internal

template <typename A, typename... Args>
ActorHandle<A> Runtime::CreateActor(const ActorOptions& options, Args&&... args) {
  static_assert((std::is_copy_constructible_v<std::decay_t<Args>> && ...),
                "Arguments of an actor's constructor must be copyable: they are kept, so that the "
                "actor can be built anew.");
  static_assert(internal::HasCreate<A, internal::ConstructorValue<std::decay_t<Args>>...> ||
                    std::is_constructible_v<A, internal::ConstructorValue<std::decay_t<Args>>...>,
                "The actor's class has neither a constructor nor a Create for these arguments.");
  internal::ActorType type{
      std::type_index(typeid(A)),
      [arguments = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)] {
        return internal::BuildActor<A>(arguments);
      },
      nullptr, nullptr};
  internal::AddState<A>(&type);
  absl::Status wrong;
  if (options.checkpoint_every > 0 && (type.save == nullptr || options.max_concurrency != 1)) {
    wrong = absl::InvalidArgumentError(
        "checkpoint_every needs SaveState and LoadState in the actor's class, and max_concurrency "
        "= 1");
  } else if (options.durable && (type.save == nullptr || options.name.empty())) {
    wrong = absl::InvalidArgumentError(
        "durable needs a name, and SaveState and LoadState in the actor's class");
  } else if (options.restore && !options.durable) {
    wrong = absl::InvalidArgumentError("restore needs durable");
  } else if (options.max_concurrency < 1 || options.mailbox_max < 1) {
    wrong = absl::InvalidArgumentError("max_concurrency and mailbox_max must be at least 1");
  } else if (!core_->accepting() && !core_->scheduler().OnWorker()) {
    wrong = absl::UnavailableError("the runtime is shut down");
  }
  auto* const actor = new internal::ActorCore(core_, options, std::move(type));
  if (wrong.ok()) {
    actor->Begin();
  } else {
    actor->Fail(wrong);
  }
  return ActorHandle<A>(actor);
}

template <typename A>
absl::StatusOr<ActorHandle<A>> Runtime::FindActor(const std::string& name) const {
  internal::ActorCore* const actor = core_->FindActor(name);
  if (actor == nullptr) return absl::NotFoundError(absl::StrCat("no actor is named ", name));
  ActorHandle<A> handle(actor);
  if (actor->type() != std::type_index(typeid(A))) {
    return absl::FailedPreconditionError(
        absl::StrCat("actor ", name, " is of another class than was asked for"));
  }
  return handle;
}

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_INTERNAL_CREATE_ACTOR_H_
