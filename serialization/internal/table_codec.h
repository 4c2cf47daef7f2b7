// Codec of the tables that flatc generates. Included by codec.h; does not include FlatBuffers'
// headers, because who names a generated table has them already.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_TABLE_CODEC_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_TABLE_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "serialization/codec.h"
#include "serialization/internal/flat_layout.h"
#include "serialization/internal/type_entry.h"
#include "serialization/internal/type_name.h"

namespace flatbuffers {
class DetachedBuffer;
class FlatBufferBuilder;
class Table;
class Verifier;
struct NativeTable;
}  // namespace flatbuffers

namespace spillway {
namespace internal {

template <typename T>
concept GeneratedTable =
    std::is_class_v<T> && std::is_base_of_v<flatbuffers::Table, T> && requires {
  T::GetFullyQualifiedName();
};

absl::Span<const char> BytesOf(const flatbuffers::DetachedBuffer& buffer);
// REQUIRES: the builder is finished.
absl::Span<const char> BytesOf(const flatbuffers::FlatBufferBuilder& builder);

// A type of flatc's object API, such as MonsterT.
template <typename T>
concept GeneratedObject =
    std::is_class_v<T> && std::is_base_of_v<flatbuffers::NativeTable, T> && requires {
  typename T::TableType;
} && GeneratedTable<typename T::TableType>;

// Packs `value` and returns the root table's position as the builder counts it.
using PackFunction = uint32_t (*)(flatbuffers::FlatBufferBuilder& builder, const void* value);
// InvalidArgument for a value that does not fit a FlatBuffer, before much more is allocated than
// that.
absl::StatusOr<size_t> PackedBytes(const void* value, PackFunction pack, const TableInfo& table);
void PackInto(const void* value, PackFunction pack, const TableInfo& table, absl::Span<char> out);

// The size of a finished buffer that is to be stored as `table`; InvalidArgument if it is empty, is
// larger than a FlatBuffer can be, or does not carry the table's file identifier.
absl::StatusOr<size_t> CheckedBufferBytes(absl::Span<const char> buffer, const TableInfo& table);

using VerifyTableFunction = bool (*)(const char* root, flatbuffers::Verifier& verifier);
absl::Status VerifyTablePayload(absl::Span<const char> payload, VerifyTableFunction verify_table,
                                const TableInfo& table, const VerifyLimits& limits);

template <GeneratedTable T>
const TableInfo& InfoOf() {
  static const TableInfo info = FindTable(T::GetFullyQualifiedName());
  return info;
}

}  // namespace internal

template <typename T>
struct Codec<T, std::enable_if_t<internal::GeneratedTable<T>>> {
  using View = const T*;

  static ObjectType Type() { return internal::InfoOf<T>().type; }
  static std::string TypeName() { return T::GetFullyQualifiedName(); }

  // Source: a flatbuffers::DetachedBuffer or a finished flatbuffers::FlatBufferBuilder with a T as
  // root.
  template <typename Buffer>
  requires requires(const Buffer& buffer) { internal::BytesOf(buffer); }
  static absl::StatusOr<size_t> EncodedSize(const Buffer& buffer) {
    return internal::CheckedBufferBytes(internal::BytesOf(buffer), internal::InfoOf<T>());
  }
  template <typename Buffer>
  requires requires(const Buffer& buffer) { internal::BytesOf(buffer); }
  static void Encode(const Buffer& buffer, absl::Span<char> out) {
    absl::Span<const char> bytes = internal::BytesOf(buffer);
    std::memcpy(out.data(), bytes.data(), bytes.size());
  }
  static View MakeView(absl::Span<const char> payload) {
    return reinterpret_cast<const T*>(internal::RootTable(payload.data()));
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    return internal::VerifyTablePayload(
        payload,
        [](const char* table, flatbuffers::Verifier& verifier) {
          return reinterpret_cast<const T*>(table)->Verify(verifier);
        },
        internal::InfoOf<T>(), limits);
  }
  // The object-API value, where flatc was asked to generate one.
  template <typename Table = T>
  static typename Table::NativeTableType Decode(const Table* view) {
    typename Table::NativeTableType value;
    view->UnPackTo(&value);
    return value;
  }

  // What FlatBufferBuilder::Finish is to be given: the schema's file identifier, or null if it has
  // none.
  static const char* FileIdentifier() {
    return internal::InfoOf<T>().file_identifier.empty()
               ? nullptr
               : internal::InfoOf<T>().file_identifier.c_str();
  }
};

// An object-API value is stored as the table that it stands for, and has that table's type: what
// was put as a MonsterT can be read as a Monster. It is packed by FlatBuffers' own builder and
// copied, twice where the size has to be known before; store->Build, or a DetachedBuffer, avoids
// that.
template <typename T>
struct Codec<T, std::enable_if_t<internal::GeneratedObject<T>>> {
  using Table = typename T::TableType;
  using View = const Table*;

  static ObjectType Type() { return Codec<Table>::Type(); }
  static std::string TypeName() { return Codec<Table>::TypeName(); }

  static absl::StatusOr<size_t> EncodedSize(const T& value) {
    return internal::PackedBytes(&value, &Pack, internal::InfoOf<Table>());
  }
  static void Encode(const T& value, absl::Span<char> out) {
    internal::PackInto(&value, &Pack, internal::InfoOf<Table>(), out);
  }
  static View MakeView(absl::Span<const char> payload) { return Codec<Table>::MakeView(payload); }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    return Codec<Table>::Verify(payload, limits);
  }
  static T Decode(const View& view) { return Codec<Table>::Decode(view); }

 private:
  static uint32_t Pack(flatbuffers::FlatBufferBuilder& builder, const void* value) {
    return Table::Pack(builder, static_cast<const T*>(value)).o;
  }
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_TABLE_CODEC_H_
