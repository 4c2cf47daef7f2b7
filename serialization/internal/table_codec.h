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
#include "serialization/internal/type_name.h"

namespace flatbuffers {
class DetachedBuffer;
class FlatBufferBuilder;
class Table;
class Verifier;
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

// The size of a finished buffer that is to be stored as the table `type_name`; InvalidArgument if
// it is empty or carries another table's file identifier.
absl::StatusOr<size_t> CheckedBufferBytes(absl::Span<const char> buffer,
                                          std::string_view type_name);

// The fingerprint of a table's registered schema; 0 for unknown.
uint64_t TableFingerprint(std::string_view type_name);

using VerifyTableFunction = bool (*)(const char* table, flatbuffers::Verifier& verifier);
absl::Status VerifyTablePayload(absl::Span<const char> payload, VerifyTableFunction verify_table,
                                std::string_view type_name, const VerifyLimits& limits);

}  // namespace internal

template <typename T>
struct Codec<T, std::enable_if_t<internal::GeneratedTable<T>>> {
  using View = const T*;

  static ObjectType Type() {
    static const ObjectType type = {internal::TypeIdOf(T::GetFullyQualifiedName()),
                                    internal::TableFingerprint(T::GetFullyQualifiedName()),
                                    Encoding::kFlatBuffer};
    return type;
  }
  static std::string TypeName() { return T::GetFullyQualifiedName(); }

  // Source: a flatbuffers::DetachedBuffer or a finished flatbuffers::FlatBufferBuilder with a T as
  // root.
  template <typename Buffer>
  requires requires(const Buffer& buffer) { internal::BytesOf(buffer); }
  static absl::StatusOr<size_t> EncodedSize(const Buffer& buffer) {
    return internal::CheckedBufferBytes(internal::BytesOf(buffer), T::GetFullyQualifiedName());
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
        T::GetFullyQualifiedName(), limits);
  }
  // The object-API value, where flatc was asked to generate one.
  template <typename Table = T>
  static typename Table::NativeTableType Decode(const Table* view) {
    typename Table::NativeTableType value;
    view->UnPackTo(&value);
    return value;
  }
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_TABLE_CODEC_H_
