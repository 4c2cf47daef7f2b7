// The codec of types that are composed of parts (see wire.h).
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_WIRE_CODEC_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_WIRE_CODEC_H_

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "serialization/codec.h"
#include "serialization/internal/basic_codecs.h"
#include "serialization/internal/flat_writer.h"
#include "serialization/internal/payload_verifier.h"
#include "serialization/internal/type_entry.h"
#include "serialization/internal/wire.h"
#include "serialization/internal/wire_containers.h"

namespace spillway {
namespace internal {

// The types whose payloads are written by hand, here and in basic_codecs.h.
template <typename T>
struct IsBasicImpl : std::bool_constant<Scalar<T>> {};
template <>
struct IsBasicImpl<std::string> : std::true_type {};
template <typename E>
struct IsBasicImpl<std::vector<E>>
    : std::bool_constant<kIsSpanElement<E> || std::is_same_v<E, std::string>> {};

template <typename T>
concept ComposedRoot = kIsComposed<T> && !IsBasicImpl<T>::value && !std::is_array_v<T>;

template <typename T>
Schema DescribeRoot() {
  SchemaBuilder builder;
  AsTable<T>::Describe(&builder);
  return std::move(builder).Finish(AsTable<T>::FlatType());
}

template <typename T>
void WriteRoot(FlatWriter& writer, const T& value) {
  size_t root = writer.Reserve(sizeof(uint32_t), sizeof(uint32_t));
  writer.Refer(root, AsTable<T>::Write(writer, value));
}

// What all of these codecs have in common but the ways to encode.
template <typename T>
struct ComposedCodec {
  using View = typename Wire<T>::View;

  static ObjectType Type() {
    static const ObjectType type = InternType(Wire<T>::Name(), &DescribeRoot<T>);
    return type;
  }
  static std::string TypeName() { return Wire<T>::Name(); }

  static View MakeView(absl::Span<const char> payload) {
    return AsTable<T>::Load(RootTable(payload.data()));
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    PayloadVerifier verifier(payload, limits);
    size_t root;
    if (verifier.Root(&root)) AsTable<T>::Verify(verifier, root);
    return verifier.ok() ? absl::OkStatus() : verifier.ToStatus(TypeName());
  }
};

}  // namespace internal

template <typename T>
struct Codec<T, std::enable_if_t<internal::ComposedRoot<T>>> : internal::ComposedCodec<T> {
  using View = typename internal::Wire<T>::View;

  static absl::StatusOr<size_t> EncodedSize(const T& value) {
    internal::FlatWriter counter;
    internal::WriteRoot(counter, value);
    if (!counter.status().ok()) return counter.status();
    if (counter.position() > kMaxFlatBufferBytes) {
      return TooLargeForFlatBuffer(internal::Wire<T>::Name(), counter.position());
    }
    return counter.position();
  }
  static void Encode(const T& value, absl::Span<char> out) {
    internal::FlatWriter writer(out);
    internal::WriteRoot(writer, value);
    writer.Finish();
  }
  static T Decode(const View& view) { return internal::Wire<T>::Decode(view); }

  static void ContainedIds(const T& value,
                           internal::ContainedIdList* ids) requires internal::kHoldsIds<T> {
    internal::CollectIds(value, ids);
  }
};

// Vectors of structs that stand in memory as in the payload: as vectors of scalars, from any span.
template <typename E>
struct Codec<std::vector<E>, std::enable_if_t<internal::kIsSpanElement<E> && !internal::Scalar<E>>>
    : internal::ComposedCodec<std::vector<E>> {
  using View = absl::Span<const E>;

  static absl::StatusOr<size_t> EncodedSize(absl::Span<const E> value) {
    size_t bytes = internal::VectorPayloadBytes(value.size(), sizeof(E));
    if (bytes > kMaxFlatBufferBytes) {
      return TooLargeForFlatBuffer(internal::Wire<std::vector<E>>::Name(), bytes);
    }
    return bytes;
  }
  static void Encode(absl::Span<const E> value, absl::Span<char> out) {
    size_t data_at = internal::VectorDataAt(value.size() * sizeof(E));
    internal::WriteVectorHeader(out.data(), value.size(), data_at);
    if constexpr (internal::kHasPadding<E>) {
      char* at = out.data() + data_at;
      for (const E& element : value) {
        internal::Wire<E>::Store(element, at);
        at += sizeof(E);
      }
    } else if (!value.empty()) {
      std::memcpy(out.data() + data_at, value.data(), value.size() * sizeof(E));
    }
  }
  static std::vector<E> Decode(const View& view) {
    return std::vector<E>(view.begin(), view.end());
  }
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_WIRE_CODEC_H_
