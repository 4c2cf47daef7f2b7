// What can be known of a callable at compile time: its parameters, and what its result becomes.
#ifndef SPILLWAY_RUNTIME_INTERNAL_CALLABLE_H_
#define SPILLWAY_RUNTIME_INTERNAL_CALLABLE_H_

#include <cstddef>
#include <stop_token>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/internal/done_codec.h"
#include "runtime/task_options.h"
#include "store/object_ref.h"

namespace spillway::internal {

// The parameters of a callable as a std::tuple, or void where they cannot be known: a generic
// lambda, an overloaded operator().
template <typename F, typename Enable = void>
struct ParametersOf {
  using type = void;
};
template <typename R, typename... P>
struct ParametersOf<R (*)(P...)> {
  using type = std::tuple<P...>;
};
template <typename R, typename... P>
struct ParametersOf<R (*)(P...) noexcept> {
  using type = std::tuple<P...>;
};
template <typename Member>
struct MemberParameters;
template <typename C, typename R, typename... P>
struct MemberParameters<R (C::*)(P...)> {
  using type = std::tuple<P...>;
};
template <typename C, typename R, typename... P>
struct MemberParameters<R (C::*)(P...) const> {
  using type = std::tuple<P...>;
};
template <typename C, typename R, typename... P>
struct MemberParameters<R (C::*)(P...) noexcept> {
  using type = std::tuple<P...>;
};
template <typename C, typename R, typename... P>
struct MemberParameters<R (C::*)(P...) const noexcept> {
  using type = std::tuple<P...>;
};
template <typename C, typename R, typename... P>
struct MemberParameters<R (C::*)(P...)&> {
  using type = std::tuple<P...>;
};
template <typename C, typename R, typename... P>
struct MemberParameters<R (C::*)(P...) const&> {
  using type = std::tuple<P...>;
};
// A callable of ours that says so itself.
template <typename F>
struct ParametersOf<F, std::void_t<typename F::SpillwayParameters>> {
  using type = typename F::SpillwayParameters;
};
template <typename F>
concept DeclaresParameters = requires {
  typename F::SpillwayParameters;
};
template <typename F>
struct ParametersOf<F,
                    std::enable_if_t<!DeclaresParameters<F> &&
                                     std::is_member_function_pointer_v<decltype(&F::operator())>>>
    : MemberParameters<decltype(&F::operator())> {};

// Whether the first parameter is a std::stop_token, which the runtime passes by itself.
template <typename Parameters>
struct TakesStopToken : std::false_type {};
template <typename First, typename... Rest>
struct TakesStopToken<std::tuple<First, Rest...>>
    : std::is_same<std::remove_cvref_t<First>, std::stop_token> {};

// Stands for a parameter whose type is not known.
struct AnyParameter {};

template <typename Parameters, size_t kIndex>
struct ParameterAt {
  using type = std::tuple_element_t<kIndex, Parameters>;
};
template <size_t kIndex>
struct ParameterAt<void, kIndex> {
  using type = AnyParameter;
};

// What a callable's return type says of its results.
//     Value   what a successful call yields: R, or Done for nothing
//     kMayFail, kIsVoid
template <typename R>
struct ResultOf {
  using Value = R;
  static constexpr bool kMayFail = false;
};
template <>
struct ResultOf<void> {
  using Value = Done;
  static constexpr bool kMayFail = false;
};
template <>
struct ResultOf<absl::Status> {
  using Value = Done;
  static constexpr bool kMayFail = true;
};
template <typename R>
struct ResultOf<absl::StatusOr<R>> {
  using Value = R;
  static constexpr bool kMayFail = true;
};

template <typename T>
struct IsTuple : std::false_type {};
template <typename... T>
struct IsTuple<std::tuple<T...>> : std::true_type {};

template <typename T>
struct IsVector : std::false_type {};
template <typename E, typename A>
struct IsVector<std::vector<E, A>> : std::true_type {
  using Element = E;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_CALLABLE_H_
