// Structs named by SPILLWAY_OBJECT as parts of payloads (see wire.h and ../object.h).
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_WIRE_OBJECT_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_WIRE_OBJECT_H_

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "serialization/internal/wire.h"
#include "serialization/internal/wire_codec.h"
#include "serialization/internal/wire_containers.h"

namespace spillway::internal {

// SPILLWAY_OBJECT specialises this.
template <typename T>
struct ObjectMembers;

template <typename T>
concept Object = requires {
  ObjectMembers<T>::kName;
};

template <auto kMember, size_t kMemberOffset>
struct Member;
template <typename T, typename M, M T::*kMember, size_t kMemberOffset>
struct Member<kMember, kMemberOffset> {
  using Type = M;
  static constexpr auto kPointer = kMember;
  static constexpr size_t kOffset = kMemberOffset;
};

// The first parameter is there to start a list of commas.
template <typename, typename... Ms>
struct MemberList {
  static constexpr size_t kCount = sizeof...(Ms);
};

template <typename T>
using MembersOf = typename ObjectMembers<T>::Members;

// The number of the member called `name`.
template <typename T>
constexpr size_t SlotOf(std::string_view name) {
  size_t slot = 0;
  while (ObjectMembers<T>::kMemberNames[slot] != name) ++slot;
  return slot;
}

// --- C arrays, which only structs can hold ---

template <typename E, size_t N>
struct IsInlineImpl<E[N]> : IsInlineImpl<std::array<E, N>> {};
template <typename E, size_t N>
struct IsSpanElementImpl<E[N]> : IsSpanElementImpl<std::array<E, N>> {};
template <typename E, size_t N>
struct HasPaddingImpl<E[N]> : HasPaddingImpl<E> {};

template <typename E, size_t N>
requires kIsSpanElement<E[N]>
struct Wire<E[N]> : Wire<std::array<E, N>> {
  static void Store(const E (&value)[N], char* at) {
    for (size_t i = 0; i < N; ++i) Wire<E>::Store(value[i], at + i * Wire<E>::kSize);
  }
};

// --- Structs that are structs in the payload too ---

template <typename T, typename List>
struct FixedLayoutOf;
template <typename T, typename V, typename... Ms>
struct FixedLayoutOf<T, MemberList<V, Ms...>> {
  // Whether FlatBuffers would lay the members out as the compiler did.
  static constexpr bool IsSame() {
    if constexpr (sizeof...(Ms) > 0 && std::is_trivially_copyable_v<T> &&
                  std::is_standard_layout_v<T> && (kIsSpanElement<typename Ms::Type> && ...)) {
      using Shape = StructShape<typename Ms::Type...>;
      constexpr std::array<size_t, sizeof...(Ms)> kOffsets = {Ms::kOffset...};
      return Shape::kSize == sizeof(T) && Shape::kAlign == alignof(T) &&
             Shape::kOffsets == kOffsets;
    }
    return false;
  }
};

template <Object T>
constexpr bool IsFixedObject() {
  if constexpr (ObjectMembers<T>::kAlwaysTable) return false;
  return FixedLayoutOf<T, MembersOf<T>>::IsSame();
}

template <Object T>
struct IsComposedImpl<T> : std::true_type {};
template <Object T>
struct IsInlineImpl<T> : std::bool_constant<IsFixedObject<T>()> {};
template <Object T>
struct IsSpanElementImpl<T> : std::bool_constant<IsFixedObject<T>()> {};

template <typename T, typename List = MembersOf<T>>
struct MembersHavePadding;
template <typename T, typename V, typename... Ms>
struct MembersHavePadding<T, MemberList<V, Ms...>>
    : std::bool_constant<StructShape<typename Ms::Type...>::kHasGaps ||
                         (kHasPadding<typename Ms::Type> || ...)> {};
template <Object T>
requires(IsFixedObject<T>()) struct HasPaddingImpl<T> : MembersHavePadding<T> {
};

// A member refers to objects; members that are being looked at already do not count again.
template <typename List, typename... Users>
struct MembersHoldIds;
template <typename V, typename... Ms, typename... Users>
struct MembersHoldIds<MemberList<V, Ms...>, Users...>
    : std::bool_constant<(HoldsIdsImpl<typename Ms::Type, Users...>::value || ...)> {};
template <Object T, typename... Users>
requires(!(std::is_same_v<T, Users> || ...)) struct HoldsIdsImpl<T, Users...>
    : MembersHoldIds<MembersOf<T>, T, Users...> {
};

template <typename T>
struct ObjectNames {
  static std::string Name() {
    constexpr std::string_view kName = ObjectMembers<T>::kName;
    return Dotted<DottedSize(kName)>(kName).str();
  }
  static std::string PartName() { return PartNameOf(Name()); }
  static std::string FlatType() { return Name(); }
  static std::array<std::string, MembersOf<T>::kCount> Members() {
    std::array<std::string, MembersOf<T>::kCount> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = ObjectMembers<T>::kMemberNames[i];
    return names;
  }
};

template <typename T, typename List = MembersOf<T>>
struct FixedObjectWire;
template <typename T, typename V, typename... Ms>
struct FixedObjectWire<T, MemberList<V, Ms...>> : ObjectNames<T> {
  using View = const T*;

  static constexpr size_t kSize = sizeof(T);
  static constexpr size_t kAlign = alignof(T);
  static constexpr bool kNeedsCheck = (Wire<typename Ms::Type>::kNeedsCheck || ...);

  static void Store(const T& value, char* at) {
    if constexpr (kHasPadding<T>) {
      std::memset(at, 0, sizeof(T));
      (Wire<typename Ms::Type>::Store(value.*Ms::kPointer, at + Ms::kOffset), ...);
    } else {
      std::memcpy(at, &value, sizeof(T));
    }
  }
  static View Load(const char* at) {
    static constexpr T kAbsent{};
    return at == nullptr ? &kAbsent : reinterpret_cast<const T*>(at);
  }
  static T Decode(View view) { return *view; }
  static bool Check(PayloadVerifier& verifier, size_t at) {
    return !kNeedsCheck || (Wire<typename Ms::Type>::Check(verifier, at + Ms::kOffset) && ...);
  }
  static void Describe(SchemaBuilder* builder) {
    DescribeStruct<typename Ms::Type...>(builder, ObjectNames<T>::Name(),
                                         ObjectNames<T>::Members().data());
  }
};

// --- Structs that are tables ---

// Where a view's accessors end up.
template <typename T, typename List = MembersOf<T>>
class TableView;
template <typename T, typename V, typename... Ms>
class TableView<T, MemberList<V, Ms...>> {
 public:
  TableView() = default;
  // REQUIRES: `table` is a table of T in trusted bytes, or null for none.
  explicit TableView(const char* table) : table_(table) {}

  // The view of member number `kSlot`.
  template <size_t kSlot>
  auto Get() const {
    using M = std::tuple_element_t<kSlot, std::tuple<Ms...>>;
    return Field<typename M::Type>::Load(FieldOf(table_, kSlot));
  }

 private:
  template <typename, typename>
  friend struct TableObjectWire;

  const char* table_ = nullptr;
};

template <typename T, typename List = MembersOf<T>>
struct TableObjectWire;
template <typename T, typename V, typename... Ms>
struct TableObjectWire<T, MemberList<V, Ms...>> : ObjectNames<T> {
  using View = typename ObjectMembers<T>::template View<TableView<T>>;

  static constexpr bool kIsTable = true;

  static size_t Write(FlatWriter& writer, const T& value) {
    return WriteTable(writer, &kTypeTag<T>, value.*Ms::kPointer...);
  }
  static View Load(const char* table) { return View(table); }
  static T Decode(const View& view) {
    T value{};
    size_t slot = 0;
    (DecodeMember<Ms>(view.table_, slot++, &value), ...);
    return value;
  }
  static bool Verify(PayloadVerifier& verifier, size_t table) {
    return VerifyTable<typename Ms::Type...>(verifier, table);
  }
  static void CollectIds(const T& value, ContainedIdList* ids) {
    (internal::CollectIds(value.*Ms::kPointer, ids), ...);
  }
  static void Describe(SchemaBuilder* builder) {
    DescribeTable<typename Ms::Type...>(builder, ObjectNames<T>::Name(),
                                        ObjectNames<T>::Members().data());
  }

 private:
  // Members that the payload lacks keep what the default constructor gave them.
  template <typename M>
  static void DecodeMember(const char* table, size_t slot, T* value) {
    const char* field = FieldOf(table, slot);
    using F = Field<typename M::Type>;
    if (field != nullptr || F::kNullable) value->*M::kPointer = F::Decode(F::Load(field));
  }
};

template <Object T>
struct Wire<T> : std::conditional_t<IsFixedObject<T>(), FixedObjectWire<T>, TableObjectWire<T>> {};

// --- Mistakes that can be found ---

struct ConvertsToAnything {
  template <typename T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};

// How many members an aggregate has, arrays counted by their elements; 0 if that cannot be told.
template <typename T, typename... Anythings>
constexpr size_t MemberCount() {
  if constexpr (sizeof...(Anythings) > 128) {
    return 0;
  } else if constexpr (requires { T{Anythings{}..., ConvertsToAnything{}}; }) {
    return MemberCount<T, Anythings..., ConvertsToAnything>();
  } else {
    return sizeof...(Anythings);
  }
}

template <typename M>
constexpr size_t ScalarCount() {
  if constexpr (std::is_array_v<M>) {
    return std::extent_v<M> * ScalarCount<std::remove_extent_t<M>>();
  } else {
    return 1;
  }
}

template <typename List>
struct NamedCount;
template <typename V, typename... Ms>
struct NamedCount<MemberList<V, Ms...>> {
  static constexpr size_t kCount = (ScalarCount<typename Ms::Type>() + ... + 0);
  static constexpr bool kPartsHaveCodecs =
      ((Part<typename Ms::Type> || kIsInline<typename Ms::Type>)&&...);
};

// Fails to compile, with a message, where SPILLWAY_OBJECT was used wrongly.
template <typename T>
consteval bool CheckObject() {
  using Named = NamedCount<MembersOf<T>>;
  static_assert(MembersOf<T>::kCount > 0, "SPILLWAY_OBJECT needs the names of the type's members.");
  static_assert(MembersOf<T>::kCount <= TableShape::kMaxFields,
                "SPILLWAY_OBJECT can name up to 64 members; group them in structs of their own.");
  static_assert(Named::kPartsHaveCodecs,
                "A member named by SPILLWAY_OBJECT is of a type that has no codec. Give that type "
                "one first, or leave the member out with SPILLWAY_TABLE.");
  static_assert(std::is_default_constructible_v<T>,
                "SPILLWAY_OBJECT needs a type with a default constructor, to decode into.");
  if constexpr (std::is_aggregate_v<T> && !ObjectMembers<T>::kAlwaysTable) {
    static_assert(MemberCount<T>() <= Named::kCount,
                  "SPILLWAY_OBJECT does not name all members of the type, so that some would be "
                  "lost. Name them all, or use SPILLWAY_TABLE to leave some out.");
  }
  return true;
}

// --- Registration ---

// Makes the type known to SchemaText and RegisteredTypes from the start of the program on.
template <typename T>
inline const bool kObjectAnnounced = false;
template <typename T>
bool AnnounceObject() {
  AnnounceType([] { static_cast<void>(Codec<T>::Type()); });
  return true;
}

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_WIRE_OBJECT_H_
