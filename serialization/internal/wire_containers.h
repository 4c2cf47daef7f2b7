// Vectors, arrays, optionals, pairs, tuples, variants and maps as parts of payloads (see wire.h).
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_WIRE_CONTAINERS_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_WIRE_CONTAINERS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "serialization/internal/wire.h"
#include "serialization/views.h"

namespace spillway::internal {

// --- Elements of vectors ---

// How an E stands in a vector: inline, or as a reference to a string or a table.
template <typename E>
constexpr bool IsStringElement() {
  return std::is_same_v<E, std::string>;
}
template <typename E>
using ReferredElement = std::conditional_t<IsStringElement<E>(), Wire<E>, AsTable<E>>;

template <typename E>
constexpr size_t ElementSize() {
  if constexpr (kIsInline<E>) return Wire<E>::kSize;
  return sizeof(uint32_t);
}
template <typename E>
constexpr size_t ElementAlign() {
  if constexpr (kIsInline<E>) return Wire<E>::kAlign;
  return sizeof(uint32_t);
}

template <typename E>
typename Wire<E>::View LoadElement(const char* at) {
  if constexpr (kIsInline<E>) {
    return Wire<E>::Load(at);
  } else {
    return ReferredElement<E>::Load(Follow(at));
  }
}

// Writes `count` elements from `begin` on; `get(*it)` is an E.
template <typename E, typename Iterator, typename Get>
size_t WriteElements(FlatWriter& writer, Iterator begin, size_t count, Get get) {
  size_t vector = writer.BeginVector(count, ElementSize<E>(), ElementAlign<E>());
  size_t at = vector + sizeof(uint32_t);
  if constexpr (kIsInline<E>) {
    if (char* bytes = writer.At(at); bytes != nullptr) {
      for (size_t i = 0; i < count; ++i, ++begin, bytes += ElementSize<E>()) {
        Wire<E>::Store(get(*begin), bytes);
      }
    }
  } else {
    for (size_t i = 0; i < count; ++i, ++begin, at += sizeof(uint32_t)) {
      writer.Refer(at, ReferredElement<E>::Write(writer, get(*begin)));
    }
  }
  return vector;
}

// The same for elements that stand side by side in memory as they are to stand in the payload.
template <typename E>
size_t WriteContiguous(FlatWriter& writer, const E* elements, size_t count) {
  if constexpr (kIsSpanElement<E> && !kHasPadding<E>) {
    size_t vector = writer.BeginVector(count, sizeof(E), alignof(E));
    writer.PutBytes(vector + sizeof(uint32_t), elements, count * sizeof(E));
    return vector;
  } else {
    return WriteElements<E>(writer, elements, count, [](const E& e) -> const E& { return e; });
  }
}

template <typename E>
bool VerifyElements(PayloadVerifier& verifier, size_t vector, size_t* count) {
  size_t data;
  if (!verifier.Vector(vector, ElementSize<E>(), ElementAlign<E>(), &data, count)) return false;
  if constexpr (std::is_same_v<E, bool>) {
    return verifier.Bools(data, *count);
  } else if constexpr (!kIsInline<E>) {
    for (size_t i = 0; i < *count; ++i) {
      size_t target;
      if (!verifier.Reference(data + i * sizeof(uint32_t), &target)) return false;
      if (!ReferredElement<E>::Verify(verifier, target)) return false;
    }
  } else if constexpr (Wire<E>::kNeedsCheck) {
    for (size_t i = 0; i < *count; ++i) {
      if (!Wire<E>::Check(verifier, data + i * Wire<E>::kSize)) return false;
    }
  }
  return true;
}

template <typename E>
std::string FlatElementType() {
  if constexpr (kIsInline<E> || IsStringElement<E>()) return Wire<E>::FlatType();
  return ReferredElement<E>::FlatType();
}
template <typename E>
void DescribeElement(SchemaBuilder* builder) {
  if constexpr (kIsInline<E> || IsStringElement<E>()) {
    Wire<E>::Describe(builder);
  } else {
    ReferredElement<E>::Describe(builder);
  }
}

// The view of a vector of E: a span where the bytes permit it.
template <typename E>
using ElementsView =
    std::conditional_t<kIsSpanElement<E>, absl::Span<const E>,
                       std::conditional_t<IsStringElement<E>(), StringVectorView, VectorView<E>>>;

template <typename E>
ElementsView<E> LoadElements(const char* vector) {
  if (vector == nullptr) return ElementsView<E>();
  if constexpr (kIsSpanElement<E>) {
    return ElementsView<E>(reinterpret_cast<const E*>(VectorData(vector)), VectorCount(vector));
  } else if constexpr (IsStringElement<E>()) {
    return ElementsView<E>(vector);
  } else {
    return ElementsView<E>(VectorData(vector), VectorCount(vector));
  }
}

// The view of one element; a span hands out the elements themselves.
template <typename E, typename Elements>
typename Wire<E>::View ElementOf(const Elements& elements, size_t index) {
  if constexpr (kIsSpanElement<E>) {
    return Wire<E>::Load(reinterpret_cast<const char*>(&elements[index]));
  } else {
    return elements[index];
  }
}

// Calls `use` with each element as a value.
template <typename E, typename Use>
void ForEachDecoded(const ElementsView<E>& view, Use use) {
  if constexpr (kIsSpanElement<E>) {
    for (const E& element : view) use(E(element));
  } else {
    for (size_t i = 0; i < view.size(); ++i) use(Wire<E>::Decode(view[i]));
  }
}

// --- Vectors ---

template <typename E>
struct IsComposedImpl<std::vector<E>> : std::bool_constant<Part<E>> {};
template <typename E, typename... Users>
struct HoldsIdsImpl<std::vector<E>, Users...> : HoldsIdsImpl<E, Users...> {};

template <typename E>
struct Wire<std::vector<E>> {
  using View = ElementsView<E>;

  static constexpr bool kIsTable = false;

  static size_t Write(FlatWriter& writer, const std::vector<E>& value) {
    if constexpr (std::is_same_v<E, bool>) {
      return WriteElements<bool>(writer, value.begin(), value.size(), [](bool bit) { return bit; });
    } else {
      return WriteContiguous<E>(writer, value.data(), value.size());
    }
  }
  static View Load(const char* vector) { return LoadElements<E>(vector); }
  static std::vector<E> Decode(const View& view) {
    if constexpr (kIsSpanElement<E>) {
      return std::vector<E>(view.begin(), view.end());
    } else {
      std::vector<E> value;
      value.reserve(view.size());
      ForEachDecoded<E>(view, [&](E&& element) { value.push_back(std::move(element)); });
      return value;
    }
  }
  static bool Verify(PayloadVerifier& verifier, size_t vector) {
    size_t count;
    return VerifyElements<E>(verifier, vector, &count);
  }
  static void CollectIds(const std::vector<E>& value, ContainedIdList* ids) {
    for (const E& element : value) internal::CollectIds(element, ids);
  }
  static std::string Name() { return "vector<" + Wire<E>::Name() + ">"; }
  static std::string PartName() { return "VectorOf" + Wire<E>::PartName(); }
  static std::string FlatType() { return "[" + FlatElementType<E>() + "]"; }
  static void Describe(SchemaBuilder* builder) { DescribeElement<E>(builder); }
};

// --- Arrays ---

// Small arrays of inline elements are structs and stand inline; others are vectors of a known
// length.
template <typename E, size_t N>
constexpr bool IsInlineArray() {
  if constexpr (kIsInline<E>) {
    return N <= kMaxInlineArrayBytes / Wire<E>::kSize;
  } else {
    return false;
  }
}

template <typename E, size_t N>
struct IsComposedImpl<std::array<E, N>> : std::bool_constant<Part<E> && (N > 0)> {};
template <typename E, size_t N>
struct IsInlineImpl<std::array<E, N>> : std::bool_constant<IsInlineArray<E, N>()> {};
template <typename E, size_t N>
struct IsSpanElementImpl<std::array<E, N>>
    : std::bool_constant<kIsSpanElement<E> && kIsInline<std::array<E, N>>> {};
template <typename E, size_t N>
struct HasPaddingImpl<std::array<E, N>> : HasPaddingImpl<E> {};
template <typename E, size_t N, typename... Users>
struct HoldsIdsImpl<std::array<E, N>, Users...> : HoldsIdsImpl<E, Users...> {};

template <typename E, size_t N>
struct ArrayNames {
  static std::string Name() { return "array<" + Wire<E>::Name() + "," + std::to_string(N) + ">"; }
  static std::string PartName() { return "Array" + std::to_string(N) + "Of" + Wire<E>::PartName(); }
  static void CollectIds(const std::array<E, N>& value, ContainedIdList* ids) {
    for (const E& element : value) internal::CollectIds(element, ids);
  }
  static std::array<E, N> Decode(const ElementsView<E>& view) {
    std::array<E, N> value{};
    size_t i = 0;
    ForEachDecoded<E>(view, [&](E&& element) {
      if (i < N) value[i++] = std::move(element);
    });
    return value;
  }
};

template <typename E, size_t N>
requires kIsInline<std::array<E, N>>
struct Wire<std::array<E, N>> : ArrayNames<E, N> {
  using View = ElementsView<E>;

  static constexpr size_t kSize = N * Wire<E>::kSize;
  static constexpr size_t kAlign = Wire<E>::kAlign;
  static constexpr bool kNeedsCheck = Wire<E>::kNeedsCheck;

  static void Store(const std::array<E, N>& value, char* at) {
    for (size_t i = 0; i < N; ++i) Wire<E>::Store(value[i], at + i * Wire<E>::kSize);
  }
  static View Load(const char* at) {
    if (at == nullptr) return View();
    if constexpr (kIsSpanElement<E>) {
      return View(reinterpret_cast<const E*>(at), N);
    } else {
      return View(at, N);
    }
  }
  static bool Check(PayloadVerifier& verifier, size_t at) {
    if constexpr (kNeedsCheck) {
      for (size_t i = 0; i < N; ++i) {
        if (!Wire<E>::Check(verifier, at + i * Wire<E>::kSize)) return false;
      }
    }
    return true;
  }
  static std::string FlatType() { return InTypesNamespace(ArrayNames<E, N>::PartName()); }
  static void Describe(SchemaBuilder* builder) {
    SchemaType* type = builder->Begin(SchemaType::Kind::kStruct, FlatType());
    if (type == nullptr) return;
    type->base = StructBase(kSize, kAlign);
    type->fields.push_back(
        {"value", "[" + Wire<E>::FlatType() + ":" + std::to_string(N) + "]", ""});
    Wire<E>::Describe(builder);
  }
};

template <typename E, size_t N>
requires(!kIsInline<std::array<E, N>>) struct Wire<std::array<E, N>> : ArrayNames<E, N> {
  using View = ElementsView<E>;

  static constexpr bool kIsTable = false;

  static size_t Write(FlatWriter& writer, const std::array<E, N>& value) {
    return WriteContiguous<E>(writer, value.data(), N);
  }
  static View Load(const char* vector) { return LoadElements<E>(vector); }
  static bool Verify(PayloadVerifier& verifier, size_t vector) {
    size_t count;
    if (!VerifyElements<E>(verifier, vector, &count)) return false;
    return count == N || verifier.Fail("an array of " + std::to_string(N) + " elements has " +
                                       std::to_string(count));
  }
  static std::string FlatType() { return "[" + FlatElementType<E>() + "]"; }
  static void Describe(SchemaBuilder* builder) { DescribeElement<E>(builder); }
};

// --- Optionals ---

// As a field of a table an optional is a field that may be absent (Field, wire.h); elsewhere it is
// a table with such a field.
template <typename T>
struct IsComposedImpl<std::optional<T>> : std::bool_constant<Part<T>> {};
template <typename T, typename... Users>
struct HoldsIdsImpl<std::optional<T>, Users...> : HoldsIdsImpl<T, Users...> {};

template <typename T>
struct Wire<std::optional<T>> {
  using View = typename Field<std::optional<T>>::View;

  static constexpr bool kIsTable = true;

  static size_t Write(FlatWriter& writer, const std::optional<T>& value) {
    return WriteTable(writer, &kTypeTag<std::optional<T>>, value);
  }
  static View Load(const char* table) { return Field<std::optional<T>>::Load(FieldOf(table, 0)); }
  static std::optional<T> Decode(const View& view) { return Field<std::optional<T>>::Decode(view); }
  static bool Verify(PayloadVerifier& verifier, size_t table) {
    return VerifyTable<std::optional<T>>(verifier, table);
  }
  static void CollectIds(const std::optional<T>& value, ContainedIdList* ids) {
    if (value.has_value()) internal::CollectIds(*value, ids);
  }
  static std::string Name() { return "optional<" + Wire<T>::Name() + ">"; }
  static std::string PartName() { return "OptionalOf" + Wire<T>::PartName(); }
  static std::string FlatType() { return InTypesNamespace(PartName()); }
  static void Describe(SchemaBuilder* builder) {
    const std::string names[] = {"value"};
    DescribeTable<std::optional<T>>(builder, FlatType(), names);
  }
};

// --- Pairs and tuples ---

// Of inline types they are structs, of others tables.
template <typename... Ts>
constexpr bool AllInline() {
  if constexpr (sizeof...(Ts) > 0 && (kIsInline<Ts> && ...)) {
    return StructShape<Ts...>::kSize <= kMaxInlineTupleBytes;
  } else {
    return false;
  }
}

template <typename A, typename B>
struct IsComposedImpl<std::pair<A, B>> : std::bool_constant<Part<A> && Part<B>> {};
template <typename... Ts>
struct IsComposedImpl<std::tuple<Ts...>> : std::bool_constant<(Part<Ts> && ...)> {};
template <typename A, typename B>
struct IsInlineImpl<std::pair<A, B>> : std::bool_constant<AllInline<A, B>()> {};
template <typename... Ts>
struct IsInlineImpl<std::tuple<Ts...>> : std::bool_constant<AllInline<Ts...>()> {};
template <typename A, typename B, typename... Users>
struct HoldsIdsImpl<std::pair<A, B>, Users...>
    : std::bool_constant<HoldsIdsImpl<A, Users...>::value || HoldsIdsImpl<B, Users...>::value> {};
template <typename... Ts, typename... Users>
struct HoldsIdsImpl<std::tuple<Ts...>, Users...>
    : std::bool_constant<(HoldsIdsImpl<Ts, Users...>::value || ...)> {};

// What pairs and tuples have in common. `Names` has the type's names and those of its members.
template <typename Tuple, typename TupleView, typename Names, typename... Ts>
struct InlineTupleWire : Names {
  using View = TupleView;
  using Shape = StructShape<Ts...>;

  static constexpr size_t kSize = Shape::kSize;
  static constexpr size_t kAlign = Shape::kAlign;
  static constexpr bool kNeedsCheck = (Wire<Ts>::kNeedsCheck || ...);

  static void Store(const Tuple& value, char* at) {
    if constexpr (Shape::kHasGaps) std::memset(at, 0, kSize);
    StoreParts(value, at, std::index_sequence_for<Ts...>());
  }
  static View Load(const char* at) { return LoadParts(at, std::index_sequence_for<Ts...>()); }
  static Tuple Decode(const View& view) {
    return DecodeParts(view, std::index_sequence_for<Ts...>());
  }
  static bool Check(PayloadVerifier& verifier, size_t at) {
    return CheckParts(verifier, at, std::index_sequence_for<Ts...>());
  }
  static void CollectIds(const Tuple& value, ContainedIdList* ids) {
    std::apply([&](const Ts&... parts) { (internal::CollectIds(parts, ids), ...); }, value);
  }
  static std::string FlatType() { return InTypesNamespace(Names::PartName()); }
  static void Describe(SchemaBuilder* builder) {
    DescribeStruct<Ts...>(builder, FlatType(), Names::Members().data());
  }

 private:
  template <size_t... I>
  static void StoreParts(const Tuple& value, char* at, std::index_sequence<I...>) {
    (Wire<Ts>::Store(std::get<I>(value), at + Shape::kOffsets[I]), ...);
  }
  template <size_t... I>
  static View LoadParts(const char* at, std::index_sequence<I...>) {
    return View(Wire<Ts>::Load(at == nullptr ? nullptr : at + Shape::kOffsets[I])...);
  }
  template <size_t... I>
  static Tuple DecodeParts(const View& view, std::index_sequence<I...>) {
    return Tuple(Wire<Ts>::Decode(std::get<I>(view))...);
  }
  template <size_t... I>
  static bool CheckParts(PayloadVerifier& verifier, size_t at, std::index_sequence<I...>) {
    return (Wire<Ts>::Check(verifier, at + Shape::kOffsets[I]) && ...);
  }
};

template <typename Tuple, typename TupleView, typename Names, typename... Ts>
struct TableTupleWire : Names {
  using View = TupleView;

  static constexpr bool kIsTable = true;

  static size_t Write(FlatWriter& writer, const Tuple& value) {
    return std::apply(
        [&](const Ts&... parts) { return WriteTable(writer, &kTypeTag<Tuple>, parts...); }, value);
  }
  static View Load(const char* table) { return LoadParts(table, std::index_sequence_for<Ts...>()); }
  static Tuple Decode(const View& view) {
    return DecodeParts(view, std::index_sequence_for<Ts...>());
  }
  static bool Verify(PayloadVerifier& verifier, size_t table) {
    return VerifyTable<Ts...>(verifier, table);
  }
  static void CollectIds(const Tuple& value, ContainedIdList* ids) {
    std::apply([&](const Ts&... parts) { (internal::CollectIds(parts, ids), ...); }, value);
  }
  static std::string FlatType() { return InTypesNamespace(Names::PartName()); }
  static void Describe(SchemaBuilder* builder) {
    DescribeTable<Ts...>(builder, FlatType(), Names::Members().data());
  }

 private:
  template <size_t... I>
  static View LoadParts([[maybe_unused]] const char* table, std::index_sequence<I...>) {
    return View(Field<Ts>::Load(FieldOf(table, I))...);
  }
  template <size_t... I>
  static Tuple DecodeParts([[maybe_unused]] const View& view, std::index_sequence<I...>) {
    return Tuple(Field<Ts>::Decode(std::get<I>(view))...);
  }
};

template <bool kInline, typename Tuple, typename TupleView, typename Names, typename... Ts>
using TupleWireOf = std::conditional_t<kInline, InlineTupleWire<Tuple, TupleView, Names, Ts...>,
                                       TableTupleWire<Tuple, TupleView, Names, Ts...>>;

template <typename A, typename B>
struct PairNames {
  static std::string Name() { return "pair<" + Wire<A>::Name() + "," + Wire<B>::Name() + ">"; }
  static std::string PartName() {
    return "PairOf" + Wire<A>::PartName() + "And" + Wire<B>::PartName();
  }
  static std::array<std::string, 2> Members() { return {"first", "second"}; }
};

// "int32,string" and "Int32AndString".
template <typename... Ts>
std::string JoinNames() {
  std::string joined;
  ((joined += (joined.empty() ? "" : ",") + Wire<Ts>::Name()), ...);
  return joined;
}
template <typename... Ts>
std::string JoinPartNames(const char* separator) {
  std::string joined;
  ((joined += (joined.empty() ? "" : separator) + Wire<Ts>::PartName()), ...);
  return joined;
}

template <typename... Ts>
struct TupleNames {
  static std::string Name() { return "tuple<" + JoinNames<Ts...>() + ">"; }
  static std::string PartName() {
    return "Tuple" + std::to_string(sizeof...(Ts)) + "Of" + JoinPartNames<Ts...>("And");
  }
  static std::array<std::string, sizeof...(Ts)> Members() {
    std::array<std::string, sizeof...(Ts)> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = "v" + std::to_string(i);
    return names;
  }
};

template <typename A, typename B>
struct Wire<std::pair<A, B>>
    : TupleWireOf<kIsInline<std::pair<A, B>>, std::pair<A, B>,
                  std::pair<typename Wire<A>::View, typename Wire<B>::View>, PairNames<A, B>, A,
                  B> {};

template <typename... Ts>
struct Wire<std::tuple<Ts...>>
    : TupleWireOf<kIsInline<std::tuple<Ts...>>, std::tuple<Ts...>,
                  std::tuple<typename Wire<Ts>::View...>, TupleNames<Ts...>, Ts...> {};

// --- Variants ---

template <>
struct IsComposedImpl<std::monostate> : std::true_type {};

template <>
struct Wire<std::monostate> {
  using View = std::monostate;

  static constexpr bool kIsTable = true;

  static size_t Write(FlatWriter& writer, std::monostate) {
    return WriteTable(writer, &kTypeTag<std::monostate>);
  }
  static View Load(const char*) { return {}; }
  static std::monostate Decode(View) { return {}; }
  static bool Verify(PayloadVerifier& verifier, size_t table) {
    return VerifyTable<>(verifier, table);
  }
  static std::string Name() { return "monostate"; }
  static std::string PartName() { return "Monostate"; }
  static std::string FlatType() { return InTypesNamespace(PartName()); }
  static void Describe(SchemaBuilder* builder) {
    builder->Begin(SchemaType::Kind::kTable, FlatType());
  }
};

// A table with the index of the alternative, and a field for each of which one is there. (A
// FlatBuffers union holds tables only, each kind once.)
template <typename... Ts>
struct IsComposedImpl<std::variant<Ts...>> : std::bool_constant<(Part<Ts> && ...)> {};
template <typename... Ts, typename... Users>
struct HoldsIdsImpl<std::variant<Ts...>, Users...>
    : std::bool_constant<(HoldsIdsImpl<Ts, Users...>::value || ...)> {};

// A field that is there when its alternative is the one.
template <typename T>
struct Alternative {
  const T* value;
};

template <typename T>
struct Field<Alternative<T>> {
  static constexpr bool kNullable = true;
  static constexpr size_t Size() { return Field<T>::Size(); }
  static constexpr size_t Align() { return Field<T>::Align(); }
  static bool IsPresent(const Alternative<T>& value) {
    return value.value != nullptr && Field<T>::IsPresent(*value.value);
  }
  static void Write(FlatWriter& writer, size_t at, const Alternative<T>& value) {
    Field<T>::Write(writer, at, *value.value);
  }
  static bool Verify(PayloadVerifier& verifier, size_t table, size_t slot) {
    return Field<T>::Verify(verifier, table, slot);
  }
  static std::string FlatType() { return Field<T>::FlatType(); }
  static std::string Detail() { return Field<T>::Detail(); }
  static void Describe(SchemaBuilder* builder) { Field<T>::Describe(builder); }
};

template <typename... Ts>
struct Wire<std::variant<Ts...>> {
  using Variant = std::variant<Ts...>;
  using View = std::variant<typename Wire<Ts>::View...>;

  static_assert(sizeof...(Ts) < TableShape::kMaxFields, "a variant can have 63 alternatives");
  static constexpr bool kIsTable = true;

  static size_t Write(FlatWriter& writer, const Variant& value) {
    if (value.valueless_by_exception()) {
      writer.Fail(absl::InvalidArgumentError(Name() + " is valueless by exception"));
    }
    return WriteParts(writer, value, std::index_sequence_for<Ts...>());
  }
  static View Load(const char* table) {
    return LoadPart<0>(table, Field<uint8_t>::Load(FieldOf(table, 0)));
  }
  static Variant Decode(const View& view) { return DecodePart<0>(view); }
  static bool Verify(PayloadVerifier& verifier, size_t table) {
    if (!VerifyTable<uint8_t, Alternative<Ts>...>(verifier, table)) return false;
    uint8_t index = Field<uint8_t>::Load(FieldAt(verifier.bytes() + table, 0));
    return index < sizeof...(Ts) ||
           verifier.Fail("a variant of " + std::to_string(sizeof...(Ts)) +
                         " alternatives has index " + std::to_string(index));
  }
  static void CollectIds(const Variant& value, ContainedIdList* ids) {
    std::visit([&](const auto& part) { internal::CollectIds(part, ids); }, value);
  }
  static std::string Name() { return "variant<" + JoinNames<Ts...>() + ">"; }
  static std::string PartName() {
    return "Variant" + std::to_string(sizeof...(Ts)) + "Of" + JoinPartNames<Ts...>("Or");
  }
  static std::string FlatType() { return InTypesNamespace(PartName()); }
  static void Describe(SchemaBuilder* builder) {
    std::array<std::string, sizeof...(Ts) + 1> names = {"index"};
    for (size_t i = 0; i < sizeof...(Ts); ++i) names[i + 1] = "v" + std::to_string(i);
    DescribeTable<uint8_t, Alternative<Ts>...>(builder, FlatType(), names.data());
  }

 private:
  template <size_t... I>
  static size_t WriteParts(FlatWriter& writer, const Variant& value, std::index_sequence<I...>) {
    return WriteTable(writer, &kTypeTag<Variant>, static_cast<uint8_t>(value.index()),
                      Alternative<Ts>{std::get_if<I>(&value)}...);
  }
  template <size_t I>
  static View LoadPart(const char* table, size_t index) {
    if constexpr (I + 1 < sizeof...(Ts)) {
      if (index != I) return LoadPart<I + 1>(table, index);
    }
    using T = std::variant_alternative_t<I, Variant>;
    return View(std::in_place_index<I>, Field<T>::Load(FieldOf(table, I + 1)));
  }
  template <size_t I>
  static Variant DecodePart(const View& view) {
    if constexpr (I + 1 < sizeof...(Ts)) {
      if (view.index() != I) return DecodePart<I + 1>(view);
    }
    using T = std::variant_alternative_t<I, Variant>;
    return Variant(std::in_place_index<I>, Field<T>::Decode(std::get<I>(view)));
  }
};

// --- Maps ---

// std::map, std::unordered_map and what looks like them, with one value for each key.
template <typename M>
concept MapLike = requires(M& map, const typename M::key_type& key) {
  typename M::mapped_type;
  { map.at(key) } -> std::same_as<typename M::mapped_type&>;
  { map.size() } -> std::convertible_to<size_t>;
  map.begin()->second;
  map.emplace(key, std::declval<typename M::mapped_type>());
};

template <MapLike M>
struct IsComposedImpl<M>
    : std::bool_constant<Part<typename M::key_type> && Part<typename M::mapped_type>> {};
template <MapLike M, typename... Users>
requires(!HasContainedId<M>) struct HoldsIdsImpl<M, Users...>
    : std::bool_constant<HoldsIdsImpl<typename M::key_type, Users...>::value ||
                         HoldsIdsImpl<typename M::mapped_type, Users...>::value> {
};

// Two vectors side by side, keys and values, in the order of the keys where they have one.
template <MapLike M>
struct Wire<M> {
  using K = typename M::key_type;
  using V = typename M::mapped_type;
  using View = MapView<K, V>;

  static constexpr bool kIsTable = true;

  static size_t Write(FlatWriter& writer, const M& value) {
    using MapEntry = typename M::value_type;
    std::vector<const MapEntry*> entries;
    entries.reserve(value.size());
    for (const MapEntry& entry : value) entries.push_back(&entry);
    // Order changes the size only where parts need different alignments.
    constexpr bool kSizeDependsOnOrder = !kIsInline<V> && !std::is_same_v<V, std::string>;
    if constexpr (kIsOrderedKey<K>) {
      auto less = [](const MapEntry* a, const MapEntry* b) { return a->first < b->first; };
      if ((kSizeDependsOnOrder || !writer.counting()) &&
          !std::is_sorted(entries.begin(), entries.end(), less)) {
        std::sort(entries.begin(), entries.end(), less);
      }
    }
    size_t table = writer.BeginTable(kShape, &kTypeTag<M>, 3);
    writer.Refer(table + kShape.offsets[0],
                 WriteElements<K>(writer, entries.begin(), entries.size(),
                                  [](const MapEntry* e) -> const K& { return e->first; }));
    writer.Refer(table + kShape.offsets[1],
                 WriteElements<V>(writer, entries.begin(), entries.size(),
                                  [](const MapEntry* e) -> const V& { return e->second; }));
    return table;
  }
  static View Load(const char* table) {
    return View(Field<std::vector<K>>::Load(FieldOf(table, 0)),
                Field<std::vector<V>>::Load(FieldOf(table, 1)));
  }
  static M Decode(const View& view) {
    M value;
    for (size_t i = 0; i < view.size(); ++i) {
      auto [key, mapped] = view.entry(i);
      value.emplace(Wire<K>::Decode(key), Wire<V>::Decode(mapped));
    }
    return value;
  }
  static bool Verify(PayloadVerifier& verifier, size_t table) {
    if (!VerifyTable<std::vector<K>, std::vector<V>>(verifier, table)) return false;
    const char* bytes = verifier.bytes() + table;
    auto keys = Field<std::vector<K>>::Load(FieldAt(bytes, 0));
    auto values = Field<std::vector<V>>::Load(FieldAt(bytes, 1));
    if (keys.size() != values.size()) {
      return verifier.Fail("a map has " + std::to_string(keys.size()) + " keys and " +
                           std::to_string(values.size()) + " values");
    }
    if constexpr (kIsOrderedKey<K>) {
      for (size_t i = 1; i < keys.size(); ++i) {
        if (!(keys[i - 1] < keys[i])) return verifier.Fail("the keys of a map are not in order");
      }
    }
    return true;
  }
  static void CollectIds(const M& value, ContainedIdList* ids) {
    for (const auto& [key, mapped] : value) {
      internal::CollectIds(key, ids);
      internal::CollectIds(mapped, ids);
    }
  }
  static std::string Name() { return "map<" + Wire<K>::Name() + "," + Wire<V>::Name() + ">"; }
  static std::string PartName() {
    return "MapOf" + Wire<K>::PartName() + "To" + Wire<V>::PartName();
  }
  static std::string FlatType() { return InTypesNamespace(PartName()); }
  static void Describe(SchemaBuilder* builder) {
    const std::string names[] = {"keys", "values"};
    DescribeTable<std::vector<K>, std::vector<V>>(builder, FlatType(), names);
  }

 private:
  static constexpr size_t kSizes[] = {sizeof(uint32_t), sizeof(uint32_t)};
  static constexpr TableShape kShape = ShapeOf(kSizes, kSizes, 2, 3);
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_WIRE_CONTAINERS_H_
