// Codec<T>: how a T becomes an object's payload, and how it is read again.
//
// Most programs never name a codec; `store->Put(value)` finds it. There is one for
//
//   bool, char, integers, float, double, enums          view: the value
//   std::string                                         view: std::string_view
//   std::vector<E> of those                             view: absl::Span<const E>
//   std::vector<std::string>                            view: StringVectorView
//   other vectors, optionals, pairs, tuples, variants,
//   arrays and maps, of each other and of all these     view: views.h, or the same of views
//   structs named by SPILLWAY_OBJECT (object.h)         view: const T*, or a function per member
//   FlatBuffers tables T that flatc generated           view: const T*
//   object-API types TT that flatc generated            view: const T*
//   RawBytes, bytes of any size without structure       view: absl::Span<const char>
//
// and StoredType says what literals, spans and arrays become. README.md has the details, and says
// how to add a type: by SPILLWAY_OBJECT, by ScalarForm, or by specialising Codec.
//
// Payloads are FlatBuffers (FORMAT.md) but for RawBytes and for codecs that say otherwise.
#ifndef SPILLWAY_SERIALIZATION_CODEC_H_
#define SPILLWAY_SERIALIZATION_CODEC_H_

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "serialization/object_type.h"
#include "serialization/verify_limits.h"

namespace flatbuffers {
class DetachedBuffer;
class FlatBufferBuilder;
class Table;
}  // namespace flatbuffers

namespace spillway {

// The customisation point. A specialisation for X has these members, all static, all thread-safe:
//
//   using View = ...;
//       What a read without a copy yields: a cheap value, such as a span or a pointer.
//   ObjectType Type();
//       Type id, schema fingerprint and encoding; the same in every process and build.
//   std::string TypeName();
//       Stable and readable, as in "vector<double>". Type().type_id is a hash of it: CustomType
//       (type_registry.h) makes the one of the other.
//   absl::StatusOr<size_t> EncodedSize(const X& value);
//       Exactly the number of bytes that Encode writes. InvalidArgument for a value that the
//       encoding cannot hold, as one beyond the 2 GiB of a FlatBuffer.
//   void Encode(const X& value, absl::Span<char> out);
//       Writes every byte of `out`. REQUIRES: out.size() is what EncodedSize said, out.data()
//       stands at a multiple of 64, and the value is that of the call to EncodedSize.
//   View MakeView(absl::Span<const char> payload);
//       Trusted bytes: what Encode wrote or Verify accepted. Takes nanoseconds and checks nothing.
//   absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& limits = {});
//       Bytes of any origin. OK if MakeView, every use of the view and Decode are safe; otherwise
//       DataLoss that says what is wrong. Time is linear in the payload's size.
//   X Decode(const View& view);
//       The value again. Absent from types that cannot be copied.
//
// EncodedSize and Encode may have overloads for other sources of the same payload; those for
// std::string take any std::string_view, for instance, so that nothing is copied twice.
//
// A codec for a type that holds references to other objects also has
//
//   void ContainedIds(const X& value, absl::InlinedVector<uint64_t, 4>* ids);
//       Appends the ids of the objects that the value refers to.
template <typename T, typename Enable = void>
struct Codec;

// A type that is one scalar in disguise: an identifier, a quantity with a unit. A specialisation
// makes it a type that can be stored, alone and as a part of others. Its members are static:
//
//   using Stored = uint64_t;               any integer, float, double or bool
//   using View = ...;                      what a read without a copy yields; T itself for most
//   std::string Name();                    the stable type name
//   Stored ToStored(const T& value);
//   View FromStored(Stored stored);        any value of Stored must do
//   T Decode(const View& view);
//   uint64_t ContainedId(const T& value);  optional: T refers to the object of this id
template <typename T>
struct ScalarForm;

// What a read without a copy of a T yields.
template <typename T>
using ViewOf = typename Codec<std::decay_t<T>>::View;

// There is a codec for T.
template <typename T>
concept Encodable = requires(absl::Span<const char> payload) {
  typename Codec<T>::View;
  { Codec<T>::Type() } -> std::same_as<ObjectType>;
  { Codec<T>::TypeName() } -> std::same_as<std::string>;
  { Codec<T>::MakeView(payload) } -> std::same_as<typename Codec<T>::View>;
  { Codec<T>::Verify(payload) } -> std::same_as<absl::Status>;
};

// A T can be written from a Source, which may be T itself.
template <typename T, typename Source>
concept EncodableFrom = Encodable<T> && requires(const Source& source, absl::Span<char> out) {
  { Codec<T>::EncodedSize(source) } -> std::same_as<absl::StatusOr<size_t>>;
  Codec<T>::Encode(source, out);
};

// What Codec<T>::Decode makes of a view: T, or for a flatc table its object-API type.
template <typename T>
using DecodedType = decltype(Codec<T>::Decode(std::declval<const typename Codec<T>::View&>()));

// The value can be had again as a T.
template <typename T>
concept Decodable = Encodable<T> && requires {
  requires std::same_as<DecodedType<T>, T>;
};

namespace internal {

// A table that flatc generated without what the library has to know of it.
template <typename T>
concept NamelessTable = requires {
  requires std::is_class_v<T>;
  requires std::is_base_of_v<flatbuffers::Table, T>;
  requires !requires { T::GetFullyQualifiedName(); };
};

}  // namespace internal

// Explains to the compiler's user what is missing. Functions that need a codec call it first.
template <typename T>
constexpr void RequireCodec() {
  constexpr bool kIsBuffer = std::is_same_v<T, flatbuffers::DetachedBuffer> ||
                             std::is_same_v<T, flatbuffers::FlatBufferBuilder>;
  static_assert(!std::is_pointer_v<T>,
                "A pointer cannot be stored in an object: put the value that it points to.");
  static_assert(!kIsBuffer,
                "A FlatBuffer does not say which table it holds: name the table, as in "
                "PutAs<Monster>(buffer).");
  static_assert(!internal::NamelessTable<T>,
                "This table does not know its name: have flatc generate it with "
                "--gen-name-strings.");
  static_assert(
      std::is_pointer_v<T> || kIsBuffer || internal::NamelessTable<T> || Encodable<T>,
      "There is no spillway::Codec for this type, or for a part of it. For a struct of your "
      "own write SPILLWAY_OBJECT(Type, field, ...) at global scope "
      "(serialization/object.h); for any other type specialise spillway::Codec "
      "(serialization/README.md).");
}

// Bytes without structure, of any size; also beyond the 2 GiB where FlatBuffers end.
struct RawBytes {
  std::string bytes;

  friend bool operator==(const RawBytes&, const RawBytes&) = default;
};

namespace internal {

template <typename Source>
struct StoredTypeOf;

template <typename T>
concept HasScalarForm = requires {
  typename ScalarForm<T>::Stored;
};
template <typename T>
concept HasContainedId = requires(const T& value) {
  ScalarForm<T>::ContainedId(value);
};

}  // namespace internal

// The type that an argument of Put is stored as: itself for most. Literals, string views and
// pointers to characters become std::string; spans and arrays of E become std::vector<E>.
template <typename Source>
using StoredType = typename internal::StoredTypeOf<std::remove_cvref_t<Source>>::type;

}  // namespace spillway

// The codecs that this library brings.
#include "serialization/internal/basic_codecs.h"  // IWYU pragma: export
#include "serialization/internal/table_codec.h"   // IWYU pragma: export
#include "serialization/internal/wire_codec.h"    // IWYU pragma: export

#endif  // SPILLWAY_SERIALIZATION_CODEC_H_
