// How types are composed into FlatBuffers: Wire<T>, the part that a T is of a payload.
//
// A type is one of two kinds. Inline types have a fixed size and stand where they are used: in a
// table, a struct or a vector. The others stand elsewhere and are referred to: strings, vectors and
// tables.
//
// Wire<T> of an inline type has
//   kSize, kAlign             as the FlatBuffers format has them
//   kNeedsCheck               not every bit pattern is a value
//   void Store(const T&, char* at)
//   View Load(const char* at)              at may be null: the field is absent
//   bool Check(PayloadVerifier&, size_t at)
// and of a referred type
//   kIsTable                  it can be the root of a payload and an element of a vector
//   size_t Write(FlatWriter&, const T&)    returns its position
//   View Load(const char* target)          target may be null: the field is absent
//   bool Verify(PayloadVerifier&, size_t target)
// and of either kind
//   View
//   T Decode(const View&)
//   std::string Name()        the stable type name
//   std::string PartName()    the same as a part of a table's name
//   std::string FlatType()    what schemas write as a field's type
//   void Describe(SchemaBuilder*)          adds the definitions that FlatType uses
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_WIRE_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_WIRE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "serialization/codec.h"
#include "serialization/internal/flat_layout.h"
#include "serialization/internal/flat_writer.h"
#include "serialization/internal/payload_verifier.h"
#include "serialization/internal/scalar_name.h"
#include "serialization/internal/schema.h"
#include "serialization/internal/type_name.h"
#include "serialization/views.h"

namespace spillway::internal {

using ContainedIdList = absl::InlinedVector<uint64_t, 4>;

// --- Which types there are ---

// T is made of parts by this library: Wire<T> is defined here or in a header beside this one.
template <typename T>
struct IsComposedImpl : std::bool_constant<Scalar<T> || HasScalarForm<T>> {};
template <typename T>
inline constexpr bool kIsComposed = IsComposedImpl<T>::value;

// T has a codec that the library knows nothing about; as a part it is a payload within the payload.
template <typename T>
concept Foreign = !kIsComposed<T> && !std::is_reference_v<T> && Encodable<T> &&
                  EncodableFrom<T, T> && Decodable<T>;

// T can be a part of another type.
template <typename T>
concept Part = kIsComposed<T> || Foreign<T>;

// T is inline. Answered without instantiating Wire<T>, so that types may contain themselves.
template <typename T>
struct IsInlineImpl : std::bool_constant<Scalar<T> || HasScalarForm<T>> {};
template <typename T>
inline constexpr bool kIsInline = IsInlineImpl<T>::value;

// T is inline and its bytes in memory are its bytes in the payload, so that a payload may be read
// through a pointer to T.
template <typename T>
struct IsSpanElementImpl : std::bool_constant<Scalar<T>> {};
template <typename T>
inline constexpr bool kIsSpanElement = IsSpanElementImpl<T>::value;

// T has bytes that belong to no member; they must not leave the process, since they may hold
// anything.
template <typename T>
struct HasPaddingImpl : std::false_type {};
template <typename T>
inline constexpr bool kHasPadding = HasPaddingImpl<T>::value;

// A T may hold references to other objects. `Users` are the types whose members are being looked
// at.
template <typename T, typename... Users>
struct HoldsIdsImpl : std::false_type {};
template <typename T, typename... Users>
requires HasContainedId<T>
struct HoldsIdsImpl<T, Users...> : std::true_type {
};
template <typename T>
inline constexpr bool kHoldsIds = HoldsIdsImpl<T>::value;

template <typename T>
void CollectIds(const T& value, ContainedIdList* ids) {
  if constexpr (kHoldsIds<T>) Wire<T>::CollectIds(value, ids);
}

// An address for each type.
template <typename T>
inline constexpr char kTypeTag = 0;

inline std::string InTypesNamespace(const std::string& name) { return kTypesNamespace + name; }

// --- Fields of tables ---

// The position of a field, or null; of a table that is absent itself, null.
inline const char* FieldOf(const char* table, size_t slot) {
  return table == nullptr ? nullptr : FieldAt(table, slot);
}

// How a T stands in a field of a table.
template <typename T>
struct PlainField {
  static_assert(Part<T>, "There is no spillway::Codec for a part of a type.");
  using View = typename Wire<T>::View;

  static constexpr bool kNullable = false;

  static constexpr size_t Size() {
    if constexpr (kIsInline<T>) return Wire<T>::kSize;
    return sizeof(uint32_t);
  }
  static constexpr size_t Align() {
    if constexpr (kIsInline<T>) return Wire<T>::kAlign;
    return sizeof(uint32_t);
  }
  static bool IsPresent(const T&) { return true; }
  static void Write(FlatWriter& writer, size_t at, const T& value) {
    if constexpr (kIsInline<T>) {
      if (char* bytes = writer.At(at); bytes != nullptr) Wire<T>::Store(value, bytes);
    } else {
      writer.Refer(at, Wire<T>::Write(writer, value));
    }
  }
  static View Load(const char* field) {
    if constexpr (!kIsInline<T>) {
      if (field != nullptr) field = Follow(field);
    }
    return Wire<T>::Load(field);
  }
  static T Decode(const View& view) { return Wire<T>::Decode(view); }
  static bool Verify(PayloadVerifier& verifier, size_t table, size_t slot) {
    size_t at;
    if (!verifier.Field(table, slot, Size(), Align(), &at)) return false;
    if (at == 0) return true;
    if constexpr (kIsInline<T>) {
      return Wire<T>::Check(verifier, at);
    } else {
      size_t target;
      return verifier.Reference(at, &target) && Wire<T>::Verify(verifier, target);
    }
  }
  static std::string FlatType() { return Wire<T>::FlatType(); }
  static std::string Detail() { return ""; }
  static void Describe(SchemaBuilder* builder) { Wire<T>::Describe(builder); }
};

template <typename T>
struct Field : PlainField<T> {};

// An optional is a field that may be absent.
template <typename T>
struct Field<std::optional<T>> {
  using View = std::optional<typename Wire<T>::View>;

  static constexpr bool kNullable = true;

  static constexpr size_t Size() { return PlainField<T>::Size(); }
  static constexpr size_t Align() { return PlainField<T>::Align(); }
  static bool IsPresent(const std::optional<T>& value) { return value.has_value(); }
  static void Write(FlatWriter& writer, size_t at, const std::optional<T>& value) {
    PlainField<T>::Write(writer, at, *value);
  }
  static View Load(const char* field) {
    return field == nullptr ? View() : View(PlainField<T>::Load(field));
  }
  static std::optional<T> Decode(const View& view) {
    return view.has_value() ? std::optional<T>(PlainField<T>::Decode(*view)) : std::nullopt;
  }
  static bool Verify(PayloadVerifier& verifier, size_t table, size_t slot) {
    return PlainField<T>::Verify(verifier, table, slot);
  }
  static std::string FlatType() { return PlainField<T>::FlatType(); }
  // References and structs may be absent anyway; only scalars have to be told.
  static std::string Detail() { return Scalar<T> || HasScalarForm<T> ? "null" : ""; }
  static void Describe(SchemaBuilder* builder) { PlainField<T>::Describe(builder); }
};

// --- Tables ---

// Writes a table with these fields, in this order of ids. `type` is an address that stands for it.
template <typename... Ts>
size_t WriteTable(FlatWriter& writer, const void* type, const Ts&... values) {
  static_assert(sizeof...(Ts) <= TableShape::kMaxFields, "a table can have 64 fields");
  static_assert((Field<Ts>::Size() + ... + 0) < 65000, "a table's inline fields are below 64 KiB");
  if constexpr (sizeof...(Ts) == 0) {
    return writer.BeginTable(TableShape{0, sizeof(int32_t), 4, {}}, type, 0);
  } else {
    constexpr size_t kSizes[] = {Field<Ts>::Size()...};
    constexpr size_t kAlignments[] = {Field<Ts>::Align()...};
    auto write = [&](const TableShape& shape, uint64_t present) {
      size_t table = writer.BeginTable(shape, type, present);
      const uint16_t* offset = shape.offsets;
      ((*offset != 0 ? Field<Ts>::Write(writer, table + *offset, values) : void(), ++offset), ...);
      return table;
    };
    if constexpr ((Field<Ts>::kNullable || ...)) {
      uint64_t present = 0, bit = 1;
      ((present |= Field<Ts>::IsPresent(values) ? bit : 0, bit <<= 1), ...);
      return write(ShapeOf(kSizes, kAlignments, sizeof...(Ts), present), present);
    } else {
      constexpr uint64_t kAll = ~uint64_t{0} >> (64 - sizeof...(Ts));
      static constexpr TableShape kShape = ShapeOf(kSizes, kAlignments, sizeof...(Ts), kAll);
      return write(kShape, kAll);
    }
  }
}

template <typename... Ts>
bool VerifyTable(PayloadVerifier& verifier, size_t table) {
  if (!verifier.EnterTable(table)) return false;
  size_t slot = 0;
  bool good = (Field<Ts>::Verify(verifier, table, slot++) && ...);
  verifier.LeaveTable();
  return good;
}

// Adds a table whose fields are called as `names` says.
template <typename... Ts>
void DescribeTable(SchemaBuilder* builder, const std::string& name, const std::string* names) {
  SchemaType* type = builder->Begin(SchemaType::Kind::kTable, name);
  if (type == nullptr) return;
  (type->fields.push_back({*names++, Field<Ts>::FlatType(), Field<Ts>::Detail()}), ...);
  (Field<Ts>::Describe(builder), ...);
}

// A T as a table: itself, or alone in one.
template <typename T>
struct InTable {
  using View = typename Wire<T>::View;

  static size_t Write(FlatWriter& writer, const T& value) {
    return WriteTable(writer, &kTypeTag<InTable>, value);
  }
  static View Load(const char* table) { return Field<T>::Load(FieldOf(table, 0)); }
  static T Decode(const View& view) { return Wire<T>::Decode(view); }
  static bool Verify(PayloadVerifier& verifier, size_t table) {
    return VerifyTable<T>(verifier, table);
  }
  static std::string FlatType() {
    // A struct has its name for itself already.
    constexpr bool kIsStruct = kIsInline<T> && !Scalar<T> && !HasScalarForm<T>;
    return InTypesNamespace(Wire<T>::PartName() + (kIsStruct ? "Object" : ""));
  }
  static void Describe(SchemaBuilder* builder) {
    const std::string names[] = {"value"};
    DescribeTable<T>(builder, FlatType(), names);
  }
};

template <typename T>
constexpr bool IsTable() {
  if constexpr (kIsInline<T>) {
    return false;
  } else {
    return Wire<T>::kIsTable;
  }
}
template <typename T>
using AsTable = std::conditional_t<IsTable<T>(), Wire<T>, InTable<T>>;

// --- Structs ---

// Where the members of a FlatBuffers struct stand: each at the next multiple of its alignment.
template <typename... Ts>
struct StructShape {
  static constexpr size_t kAlign = [] {
    size_t align = 1;
    ((align = Wire<Ts>::kAlign > align ? Wire<Ts>::kAlign : align), ...);
    return align;
  }();
  static constexpr std::array<size_t, sizeof...(Ts)> kOffsets = [] {
    std::array<size_t, sizeof...(Ts)> offsets{};
    size_t at = 0, i = 0;
    ((at = AlignUp(at, Wire<Ts>::kAlign), offsets[i++] = at, at += Wire<Ts>::kSize), ...);
    return offsets;
  }();
  static constexpr size_t kSize = [] {
    size_t at = 0;
    ((at = AlignUp(at, Wire<Ts>::kAlign) + Wire<Ts>::kSize), ...);
    return AlignUp(at, kAlign);
  }();
  static constexpr bool kHasGaps = (Wire<Ts>::kSize + ...) != kSize;
};

template <typename... Ts>
void DescribeStruct(SchemaBuilder* builder, const std::string& name, const std::string* names) {
  SchemaType* type = builder->Begin(SchemaType::Kind::kStruct, name);
  if (type == nullptr) return;
  type->base = StructBase(StructShape<Ts...>::kSize, StructShape<Ts...>::kAlign);
  (type->fields.push_back({*names++, Wire<Ts>::FlatType(), ""}), ...);
  (Wire<Ts>::Describe(builder), ...);
}

// --- Scalars and strings ---

template <Scalar T>
struct Wire<T> {
  using View = T;

  static constexpr size_t kSize = sizeof(T);
  static constexpr size_t kAlign = sizeof(T);
  static constexpr bool kNeedsCheck = std::is_same_v<T, bool>;

  static void Store(T value, char* at) { internal::Store(at, value); }
  static View Load(const char* at) { return at == nullptr ? T{} : internal::Load<T>(at); }
  static T Decode(View view) { return view; }
  static bool Check(PayloadVerifier& verifier, size_t at) {
    return !kNeedsCheck || verifier.Bools(at, 1);
  }
  static std::string Name() { return ScalarName<T>().str(); }
  static std::string PartName() { return ScalarTableName<T>().str(); }
  static std::string FlatType() { return FlatScalarName<T>().str(); }
  static void Describe(SchemaBuilder*) {}
};

template <typename T>
requires HasScalarForm<T>
struct Wire<T> {
  using Form = ScalarForm<T>;
  using Stored = typename Form::Stored;
  using View = typename Form::View;

  static constexpr size_t kSize = sizeof(Stored);
  static constexpr size_t kAlign = sizeof(Stored);
  static constexpr bool kNeedsCheck = std::is_same_v<Stored, bool>;

  static void Store(const T& value, char* at) {
    internal::Store<Stored>(at, Form::ToStored(value));
  }
  static View Load(const char* at) { return Form::FromStored(Wire<Stored>::Load(at)); }
  static T Decode(const View& view) { return Form::Decode(view); }
  static bool Check(PayloadVerifier& verifier, size_t at) {
    return Wire<Stored>::Check(verifier, at);
  }
  static void CollectIds(const T& value, ContainedIdList* ids) {
    ids->push_back(Form::ContainedId(value));
  }
  static std::string Name() { return Form::Name(); }
  static std::string PartName() { return PartNameOf(Form::Name()); }
  static std::string FlatType() { return Wire<Stored>::FlatType(); }
  static void Describe(SchemaBuilder*) {}
};

template <>
struct IsComposedImpl<std::string> : std::true_type {};

template <>
struct Wire<std::string> {
  using View = std::string_view;

  static constexpr bool kIsTable = false;

  static size_t Write(FlatWriter& writer, std::string_view value) {
    return writer.WriteString(value);
  }
  static View Load(const char* string) {
    return string == nullptr ? View() : View(VectorData(string), VectorCount(string));
  }
  static std::string Decode(View view) { return std::string(view); }
  static bool Verify(PayloadVerifier& verifier, size_t string) { return verifier.String(string); }
  static std::string Name() { return "string"; }
  static std::string PartName() { return "String"; }
  static std::string FlatType() { return "string"; }
  static void Describe(SchemaBuilder*) {}
};

// --- Types with codecs of their own ---

// A payload within the payload: a vector of bytes, aligned as Codec<T>::Encode was promised.
template <typename T>
requires Foreign<T>
struct Wire<T> {
  using View = typename Codec<T>::View;

  static constexpr bool kIsTable = false;

  static size_t Write(FlatWriter& writer, const T& value) {
    absl::StatusOr<size_t> size = Codec<T>::EncodedSize(value);
    if (!size.ok()) {
      writer.Fail(size.status());
      return writer.position();
    }
    size_t vector = writer.BeginVector(*size, 1, kPayloadAlignment);
    if (char* at = writer.At(vector + sizeof(uint32_t)); at != nullptr) {
      Codec<T>::Encode(value, absl::Span<char>(at, *size));
    }
    return vector;
  }
  static View Load(const char* vector) {
    if (vector == nullptr) return Codec<T>::MakeView(EmptyPayload());
    return Codec<T>::MakeView({VectorData(vector), VectorCount(vector)});
  }
  static T Decode(const View& view) { return Codec<T>::Decode(view); }
  static bool Verify(PayloadVerifier& verifier, size_t vector) {
    size_t data, count;
    if (!verifier.Vector(vector, 1, 1, &data, &count)) return false;
    if (!verifier.Visit(count / sizeof(uint32_t))) return false;
    absl::Status status = Codec<T>::Verify({verifier.bytes() + data, count}, verifier.limits());
    return status.ok() || verifier.Fail(std::string(status.message()));
  }
  static std::string Name() { return Codec<T>::TypeName(); }
  static std::string PartName() { return PartNameOf(Codec<T>::TypeName()); }
  static std::string FlatType() { return "[ubyte]"; }
  static void Describe(SchemaBuilder* builder) { builder->AddPayload(Name(), Codec<T>::Type()); }

 private:
  // What is read in a field that older payloads do not have.
  static absl::Span<const char> EmptyPayload() {
    static_assert(std::is_default_constructible_v<T>,
                  "a part with a codec of its own needs a default constructor");
    static const absl::Span<const char> payload = [] {
      size_t size = Codec<T>::EncodedSize(T{}).value();
      auto* bytes = static_cast<char*>(::operator new (size, std::align_val_t{kPayloadAlignment}));
      Codec<T>::Encode(T{}, absl::Span<char>(bytes, size));
      return absl::Span<const char>(bytes, size);  // lives until the process ends
    }();
    return payload;
  }
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_WIRE_H_
