// What scalars are called: in type names, in schemas, and as parts of tables' names.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_SCALAR_NAME_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_SCALAR_NAME_H_

#include <cstddef>
#include <type_traits>

#include "serialization/internal/type_name.h"

namespace spillway::internal {

template <typename T>
concept Scalar = (std::is_arithmetic_v<T> || std::is_enum_v<T>)&&sizeof(T) <= 8 &&
                 !std::is_same_v<T, wchar_t> && !std::is_same_v<T, long double>;

template <bool kSigned, size_t kBytes>
constexpr auto FlatIntegerName() {
  if constexpr (kBytes == 1 && kSigned) return FixedString("byte");
  if constexpr (kBytes == 1 && !kSigned) return FixedString("ubyte");
  if constexpr (kBytes == 2 && kSigned) return FixedString("short");
  if constexpr (kBytes == 2 && !kSigned) return FixedString("ushort");
  if constexpr (kBytes == 4 && kSigned) return FixedString("int");
  if constexpr (kBytes == 4 && !kSigned) return FixedString("uint");
  if constexpr (kBytes == 8 && kSigned) return FixedString("long");
  if constexpr (kBytes == 8 && !kSigned) return FixedString("ulong");
}

// The name in FlatBuffers schemas, of an enum that of its underlying type.
template <Scalar T>
constexpr auto FlatScalarName() {
  if constexpr (std::is_enum_v<T>) {
    return FlatScalarName<std::underlying_type_t<T>>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return FixedString("bool");
  } else if constexpr (std::is_same_v<T, float>) {
    return FixedString("float");
  } else if constexpr (std::is_same_v<T, double>) {
    return FixedString("double");
  } else if constexpr (std::is_same_v<T, char>) {
    return FixedString("byte");  // whatever the sign of char on this machine
  } else {
    return FlatIntegerName<std::is_signed_v<T>, sizeof(T)>();
  }
}

template <Scalar T>
constexpr auto EnumName() {
  static_assert(IsStableName(CompilerNameOf<T>()),
                "This enum has no name that is the same in every build, because it stands in a "
                "function, a template or an unnamed namespace. Move it to a named namespace, or "
                "store its underlying value.");
  return DottedNameOf<T>();
}

// The stable name: int32, double, char, bool, geo.Color, ...
template <Scalar T>
constexpr auto ScalarName() {
  if constexpr (std::is_same_v<T, std::byte>) {
    return FixedString("byte");
  } else if constexpr (std::is_enum_v<T>) {
    return EnumName<T>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return FixedString("bool");
  } else if constexpr (std::is_same_v<T, char>) {
    return FixedString("char");
  } else if constexpr (std::is_same_v<T, char8_t>) {
    return FixedString("char8");
  } else if constexpr (std::is_same_v<T, char16_t>) {
    return FixedString("char16");
  } else if constexpr (std::is_same_v<T, char32_t>) {
    return FixedString("char32");
  } else if constexpr (std::is_floating_point_v<T>) {
    return FlatScalarName<T>();
  } else if constexpr (std::is_signed_v<T>) {
    return FixedString("int") + DecimalString<8 * sizeof(T)>();
  } else {
    return FixedString("uint") + DecimalString<8 * sizeof(T)>();
  }
}

// The name as a part of a table's name: Int32, Double, geo_Color.
template <Scalar T>
constexpr auto ScalarTableName() {
  if constexpr (std::is_enum_v<T> && !std::is_same_v<T, std::byte>) {
    return DottedNameOf<T>('_');
  } else {
    auto name = ScalarName<T>();
    if (name.text[0] >= 'a') name.text[0] = static_cast<char>(name.text[0] - 'a' + 'A');
    return name;
  }
}

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_SCALAR_NAME_H_
