// Codecs of scalars, strings, vectors of both, and raw bytes. Included by codec.h.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_BASIC_CODECS_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_BASIC_CODECS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/strings/string_view.h"
#include "serialization/codec.h"
#include "serialization/internal/flat_layout.h"
#include "serialization/internal/payload_verifier.h"
#include "serialization/internal/scalar_name.h"
#include "serialization/internal/schema_hash.h"
#include "serialization/internal/type_name.h"
#include "serialization/views.h"

namespace spillway {
namespace internal {

// The identity of a type whose payload is `table X { value: T; }`.
template <size_t A, size_t B, size_t C>
constexpr ObjectType OneFieldType(const FixedString<A>& type_name, const FixedString<B>& table_name,
                                  const FixedString<C>& field_type) {
  return {
      TypeIdOf(type_name.view()),
      FinishFingerprint(DefinitionHash("table", (FixedString(kTypesNamespace) + table_name).view())
                            .AddField("value", field_type.view())
                            .Contribution()),
      Encoding::kFlatBuffer};
}

inline absl::StatusOr<size_t> CheckedPayloadBytes(size_t bytes, std::string_view type_name) {
  if (bytes > kMaxFlatBufferBytes) [[unlikely]]
    return TooLargeForFlatBuffer(type_name, bytes);
  return bytes;
}

}  // namespace internal

// --- Scalars ---

template <typename T>
struct Codec<T, std::enable_if_t<internal::Scalar<T>>> {
  using View = T;

  static constexpr ObjectType Type() {
    return internal::OneFieldType(kName, internal::ScalarTableName<T>(),
                                  internal::FlatScalarName<T>());
  }
  static std::string TypeName() { return kName.str(); }

  static absl::StatusOr<size_t> EncodedSize(T) { return internal::kFieldAt + sizeof(T); }
  static void Encode(T value, absl::Span<char> out) {
    internal::WriteOneFieldHeader(out.data(), sizeof(T));
    internal::Store(out.data() + internal::kFieldAt, value);
  }
  static View MakeView(absl::Span<const char> payload) {
    const char* field = internal::FieldAt(internal::RootTable(payload.data()), 0);
    return field == nullptr ? T{} : internal::Load<T>(field);
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    return internal::VerifyScalarPayload(payload, sizeof(T), std::is_same_v<T, bool>, kName.view(),
                                         limits);
  }
  static T Decode(const View& view) { return view; }

 private:
  static constexpr auto kName = internal::ScalarName<T>();
};

// --- Strings ---

template <>
struct Codec<std::string> {
  using View = std::string_view;

  static constexpr ObjectType Type() {
    return internal::OneFieldType(internal::FixedString("string"), internal::FixedString("String"),
                                  internal::FixedString("string"));
  }
  static std::string TypeName() { return "string"; }

  static absl::StatusOr<size_t> EncodedSize(std::string_view value) {
    return internal::CheckedPayloadBytes(internal::StringPayloadBytes(value.size()), "string");
  }
  static void Encode(std::string_view value, absl::Span<char> out) {
    internal::EncodeString(value, out.data());
  }
  static View MakeView(absl::Span<const char> payload) {
    const char* string = internal::RootVector(payload.data(), payload.size());
    if (string == nullptr) return {};
    return {internal::VectorData(string), internal::VectorCount(string)};
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    return internal::VerifyStringPayload(payload, "string", limits);
  }
  static std::string Decode(const View& view) { return std::string(view); }

  // absl::string_view is a type of its own where Abseil was built so.
  template <typename View = absl::string_view>
  requires(std::is_same_v<View, absl::string_view> &&
           !std::is_same_v<
               View, std::string_view>) static absl::StatusOr<size_t> EncodedSize(View value) {
    return EncodedSize(std::string_view(value.data(), value.size()));
  }
  template <typename View = absl::string_view>
  requires(std::is_same_v<View, absl::string_view> &&
           !std::is_same_v<View, std::string_view>) static void Encode(View value,
                                                                       absl::Span<char> out) {
    Encode(std::string_view(value.data(), value.size()), out);
  }
};

// --- Vectors of scalars ---

template <typename E>
struct Codec<std::vector<E>, std::enable_if_t<internal::Scalar<E> && !std::is_same_v<E, bool>>> {
  using View = absl::Span<const E>;

  static constexpr ObjectType Type() {
    return internal::OneFieldType(
        kName, internal::FixedString("VectorOf") + internal::ScalarTableName<E>(),
        internal::FixedString("[") + internal::FlatScalarName<E>() + internal::FixedString("]"));
  }
  static std::string TypeName() { return kName.str(); }

  // The source may be anything that converts to a span: a vector, an array, a span.
  static absl::StatusOr<size_t> EncodedSize(absl::Span<const E> value) {
    return internal::CheckedPayloadBytes(internal::VectorPayloadBytes(value.size(), sizeof(E)),
                                         kName.view());
  }
  static void Encode(absl::Span<const E> value, absl::Span<char> out) {
    size_t bytes = value.size() * sizeof(E);
    size_t data_at = internal::VectorDataAt(bytes);
    internal::WriteVectorHeader(out.data(), value.size(), data_at);
    if (bytes != 0) std::memcpy(out.data() + data_at, value.data(), bytes);
  }
  static View MakeView(absl::Span<const char> payload) {
    const char* vector = internal::RootVector(payload.data(), payload.size());
    if (vector == nullptr) return {};
    return View(reinterpret_cast<const E*>(internal::VectorData(vector)),
                internal::VectorCount(vector));
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    return internal::VerifyVectorPayload(payload, sizeof(E), alignof(E), false, kName.view(),
                                         limits);
  }
  static std::vector<E> Decode(const View& view) {
    return std::vector<E>(view.begin(), view.end());
  }

 private:
  static constexpr auto kName =
      internal::FixedString("vector<") + internal::ScalarName<E>() + internal::FixedString(">");
};

// std::vector<bool> holds bits; the payload holds bytes, and the view is a span like any other.
template <>
struct Codec<std::vector<bool>> {
  using View = absl::Span<const bool>;

  static constexpr ObjectType Type() {
    return internal::OneFieldType(internal::FixedString("vector<bool>"),
                                  internal::FixedString("VectorOfBool"),
                                  internal::FixedString("[bool]"));
  }
  static std::string TypeName() { return "vector<bool>"; }

  template <typename Bools>
  static absl::StatusOr<size_t> EncodedSize(const Bools& value) {
    return internal::CheckedPayloadBytes(internal::VectorPayloadBytes(std::size(value), 1),
                                         "vector<bool>");
  }
  template <typename Bools>
  static void Encode(const Bools& value, absl::Span<char> out) {
    size_t data_at = internal::VectorDataAt(std::size(value));
    internal::WriteVectorHeader(out.data(), std::size(value), data_at);
    char* data = out.data() + data_at;
    for (bool bit : value) *data++ = bit ? 1 : 0;
  }
  static View MakeView(absl::Span<const char> payload) {
    const char* vector = internal::RootVector(payload.data(), payload.size());
    if (vector == nullptr) return {};
    return View(reinterpret_cast<const bool*>(internal::VectorData(vector)),
                internal::VectorCount(vector));
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    return internal::VerifyVectorPayload(payload, 1, 1, true, "vector<bool>", limits);
  }
  static std::vector<bool> Decode(const View& view) {
    return std::vector<bool>(view.begin(), view.end());
  }
};

// --- Vectors of strings ---

template <>
struct Codec<std::vector<std::string>> {
  using View = StringVectorView;

  static constexpr ObjectType Type() {
    return internal::OneFieldType(internal::FixedString("vector<string>"),
                                  internal::FixedString("VectorOfString"),
                                  internal::FixedString("[string]"));
  }
  static std::string TypeName() { return "vector<string>"; }

  // The source may be any range of what converts to std::string_view.
  template <typename Strings>
  static absl::StatusOr<size_t> EncodedSize(const Strings& value) {
    size_t bytes = internal::kSmallDataAt + std::size(value) * sizeof(uint32_t);
    for (const auto& element : value) {
      bytes += internal::StringBytes(internal::AsStringView(element).size());
    }
    return internal::CheckedPayloadBytes(bytes, "vector<string>");
  }
  template <typename Strings>
  static void Encode(const Strings& value, absl::Span<char> out) {
    size_t count = std::size(value);
    internal::WriteVectorHeader(out.data(), count, internal::kSmallDataAt);
    char* reference = out.data() + internal::kSmallDataAt;
    char* string = reference + count * sizeof(uint32_t);
    for (const auto& element : value) {
      internal::Store<uint32_t>(reference, static_cast<uint32_t>(string - reference));
      reference += sizeof(uint32_t);
      string = internal::WriteString(internal::AsStringView(element), string);
    }
  }
  static View MakeView(absl::Span<const char> payload) {
    return View(internal::RootVector(payload.data(), payload.size()));
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {}) {
    return internal::VerifyStringVectorPayload(payload, "vector<string>", limits);
  }
  static std::vector<std::string> Decode(const View& view) {
    return std::vector<std::string>(view.begin(), view.end());
  }
};

// --- Raw bytes ---

template <>
struct Codec<RawBytes> {
  using View = absl::Span<const char>;

  static constexpr ObjectType Type() { return {0, 0, Encoding::kRaw}; }
  static std::string TypeName() { return "raw"; }

  static absl::StatusOr<size_t> EncodedSize(absl::Span<const char> value) { return value.size(); }
  static absl::StatusOr<size_t> EncodedSize(const RawBytes& value) { return value.bytes.size(); }
  static void Encode(absl::Span<const char> value, absl::Span<char> out) {
    if (!value.empty()) std::memcpy(out.data(), value.data(), value.size());
  }
  static void Encode(const RawBytes& value, absl::Span<char> out) { Encode(value.bytes, out); }
  static View MakeView(absl::Span<const char> payload) { return payload; }
  static absl::Status Verify(absl::Span<const char>, const VerifyLimits& = {}) {
    return absl::OkStatus();
  }
  static RawBytes Decode(const View& view) { return {std::string(view.data(), view.size())}; }
};

// --- What arguments are stored as ---

namespace internal {

template <typename T>
concept StringLike =
    !std::is_same_v<T, std::nullptr_t> &&
    (std::is_convertible_v<const T&, std::string_view> || std::is_same_v<T, absl::string_view>);

// std::span, absl::Span and their like.
template <typename T>
concept SpanLike = requires(const T& span) {
  typename T::element_type;
  { span.data() } -> std::same_as<typename T::element_type*>;
  span.size();
};

template <typename E>
struct StoredElementOf {
  using type = std::remove_cv_t<E>;
};
template <StringLike E>
struct StoredElementOf<E> {
  using type = std::string;
};

template <typename Source>
struct StoredTypeOf {
  using type = Source;
};
template <StringLike Source>
requires(!Encodable<Source>) struct StoredTypeOf<Source> {
  using type = std::string;
};
template <SpanLike Source>
requires(!Encodable<Source> && !StringLike<Source>) struct StoredTypeOf<Source> {
  using type = std::vector<typename StoredElementOf<typename Source::element_type>::type>;
};
template <typename E, size_t N>
requires(!StringLike<E[N]>) struct StoredTypeOf<E[N]> {
  using type = std::vector<typename StoredElementOf<E>::type>;
};
template <typename E, size_t N>
struct StoredTypeOf<std::array<E, N>> {
  using type = std::vector<typename StoredElementOf<E>::type>;
};
template <typename E>
struct StoredTypeOf<std::initializer_list<E>> {
  using type = std::vector<typename StoredElementOf<E>::type>;
};
template <StringLike E>
struct StoredTypeOf<std::vector<E>> {
  using type = std::vector<std::string>;
};

}  // namespace internal
}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_BASIC_CODECS_H_
