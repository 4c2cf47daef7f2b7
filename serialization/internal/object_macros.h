// What SPILLWAY_OBJECT expands to.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_OBJECT_MACROS_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_OBJECT_MACROS_H_

#include <cstddef>

// Applies `macro(Type, argument)` to each further argument. Each level scans its argument four
// times, so that 4^4 arguments are possible.
#define SPILLWAY_INTERNAL_PARENS ()
#define SPILLWAY_INTERNAL_EXPAND(...)                  \
  SPILLWAY_INTERNAL_EXPAND3(SPILLWAY_INTERNAL_EXPAND3( \
      SPILLWAY_INTERNAL_EXPAND3(SPILLWAY_INTERNAL_EXPAND3(__VA_ARGS__))))
#define SPILLWAY_INTERNAL_EXPAND3(...)                 \
  SPILLWAY_INTERNAL_EXPAND2(SPILLWAY_INTERNAL_EXPAND2( \
      SPILLWAY_INTERNAL_EXPAND2(SPILLWAY_INTERNAL_EXPAND2(__VA_ARGS__))))
#define SPILLWAY_INTERNAL_EXPAND2(...)                 \
  SPILLWAY_INTERNAL_EXPAND1(SPILLWAY_INTERNAL_EXPAND1( \
      SPILLWAY_INTERNAL_EXPAND1(SPILLWAY_INTERNAL_EXPAND1(__VA_ARGS__))))
#define SPILLWAY_INTERNAL_EXPAND1(...) __VA_ARGS__

#define SPILLWAY_INTERNAL_FOR_EACH(macro, Type, ...) \
  __VA_OPT__(SPILLWAY_INTERNAL_EXPAND(SPILLWAY_INTERNAL_FOR_ONE(macro, Type, __VA_ARGS__)))
#define SPILLWAY_INTERNAL_FOR_ONE(macro, Type, argument, ...) \
  macro(Type, argument)                                       \
      __VA_OPT__(SPILLWAY_INTERNAL_AGAIN SPILLWAY_INTERNAL_PARENS(macro, Type, __VA_ARGS__))
#define SPILLWAY_INTERNAL_AGAIN() SPILLWAY_INTERNAL_FOR_ONE

#define SPILLWAY_INTERNAL_MEMBER(Type, member) \
  , ::spillway::internal::Member<&Type::member, offsetof(Type, member)>
#define SPILLWAY_INTERNAL_MEMBER_NAME(Type, member) #member,
#define SPILLWAY_INTERNAL_ACCESSOR(Type, member) \
  auto member() const { return this->template Get<::spillway::internal::SlotOf<Type>(#member)>(); }

// offsetof is asked of every struct and used only for those of which the standard permits it.
#define SPILLWAY_INTERNAL_OBJECT(Type, always_table, ...)                                 \
  _Pragma("GCC diagnostic push")                                                          \
      _Pragma("GCC diagnostic ignored \"-Winvalid-offsetof\"") template <>                \
      struct spillway::internal::ObjectMembers<Type> {                                    \
    static constexpr std::string_view kName = #Type;                                      \
    static constexpr bool kAlwaysTable = always_table;                                    \
    using Members = ::spillway::internal::MemberList<void SPILLWAY_INTERNAL_FOR_EACH(     \
        SPILLWAY_INTERNAL_MEMBER, Type, __VA_ARGS__)>;                                    \
    static constexpr std::string_view kMemberNames[] = {                                  \
        SPILLWAY_INTERNAL_FOR_EACH(SPILLWAY_INTERNAL_MEMBER_NAME, Type, __VA_ARGS__)};    \
    template <typename Base>                                                              \
    struct View : Base {                                                                  \
      using Base::Base;                                                                   \
      SPILLWAY_INTERNAL_FOR_EACH(SPILLWAY_INTERNAL_ACCESSOR, Type, __VA_ARGS__)           \
    };                                                                                    \
  };                                                                                      \
  _Pragma("GCC diagnostic pop") static_assert(::spillway::internal::CheckObject<Type>()); \
  template <>                                                                             \
  inline const bool spillway::internal::kObjectAnnounced<Type> =                          \
      ::spillway::internal::AnnounceObject<Type>();

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_OBJECT_MACROS_H_
