// Names of types as compile-time strings, and the hashes that are made of them.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_TYPE_NAME_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_TYPE_NAME_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::internal {

// A string that can be put together during compilation: FixedString("vector<") + name + ...
template <size_t N>
struct FixedString {
  char text[N + 1] = {};

  constexpr FixedString() = default;
  constexpr FixedString(const char (&literal)[N + 1]) {  // NOLINT(google-explicit-constructor)
    for (size_t i = 0; i < N; ++i) text[i] = literal[i];
  }
  constexpr std::string_view view() const { return {text, N}; }
  std::string str() const { return std::string(text, N); }

  template <size_t M>
  friend constexpr FixedString<N + M> operator+(const FixedString& a, const FixedString<M>& b) {
    FixedString<N + M> both;
    for (size_t i = 0; i < N; ++i) both.text[i] = a.text[i];
    for (size_t i = 0; i < M; ++i) both.text[N + i] = b.text[i];
    return both;
  }
};
template <size_t M>
FixedString(const char (&)[M]) -> FixedString<M - 1>;

// `Number` in decimal.
template <size_t Number>
constexpr auto DecimalString() {
  constexpr size_t kDigits = [] {
    size_t digits = 1;
    for (size_t rest = Number; rest >= 10; rest /= 10) ++digits;
    return digits;
  }();
  FixedString<kDigits> decimal;
  size_t rest = Number;
  for (size_t i = kDigits; i-- > 0; rest /= 10)
    decimal.text[i] = static_cast<char>('0' + rest % 10);
  return decimal;
}

inline constexpr uint64_t kFnvOffsetBasis = 0xcbf29ce484222325u;

// FNV-1a with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): for short names, and constexpr.
// Texts that follow each other are hashed as one by handing on the result as `hash`.
constexpr uint64_t Fnv1a64(std::string_view text, uint64_t hash = kFnvOffsetBasis) {
  for (char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

// Where schemas define this library's payloads.
inline constexpr char kTypesNamespace[] = "spillway.types.";

// Type ids are the hash of the type's name. 0 stands for raw bytes and is given to no name.
constexpr uint64_t TypeIdOf(std::string_view type_name) {
  uint64_t hash = Fnv1a64(type_name);
  return hash == 0 ? 1 : hash;
}

// What the compiler calls T, as in "geo::Color"; gcc and clang agree for types that stand in named
// namespaces and classes. Others ("(anonymous namespace)::Color", templates) have no stable name.
template <typename T>
constexpr std::string_view CompilerNameOf() {
  std::string_view function = __PRETTY_FUNCTION__;
  constexpr std::string_view kMark = "T = ";
  size_t begin = function.find(kMark) + kMark.size();
  return function.substr(begin, function.find_first_of(";]", begin) - begin);
}

constexpr bool IsStableName(std::string_view name) {
  return !name.empty() && name.find_first_of("(){}<>,' ") == std::string_view::npos;
}

// "geo::Color" as FlatBuffers schemas write it: "geo.Color".
constexpr size_t DottedSize(std::string_view name) {
  size_t size = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == ':' && i + 1 < name.size() && name[i + 1] == ':') ++i;
    ++size;
  }
  return size;
}
template <size_t Size>
constexpr FixedString<Size> Dotted(std::string_view name, char separator = '.') {
  FixedString<Size> dotted;
  size_t at = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    bool scope = name[i] == ':' && i + 1 < name.size() && name[i + 1] == ':';
    dotted.text[at++] = scope ? separator : name[i];
    if (scope) ++i;
  }
  return dotted;
}
// The same for the compiler's name of T.
template <typename T>
constexpr auto DottedNameOf(char separator = '.') {
  constexpr std::string_view kName = CompilerNameOf<T>();
  return Dotted<DottedSize(kName)>(kName, separator);
}

// A type's name as a part of a table's name: "geo.Point" -> "geo_Point".
inline std::string PartNameOf(std::string name) {
  for (char& c : name) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter) c = '_';
  }
  return name;
}

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_TYPE_NAME_H_
