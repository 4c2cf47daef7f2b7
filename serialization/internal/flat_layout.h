// The FlatBuffers wire format, as far as this library writes and reads it without a builder.
//
// Source: "FlatBuffer Internals", https://flatbuffers.dev/internals/. All integers are
// little-endian.
//
//   payload := root_offset:u32 ...            from byte 0 to the root table
//   table   := to_vtable:i32 inline fields    the vtable stands at (table - to_vtable)
//   vtable  := vtable_size:u16 table_size:u16 field_offset:u16*     offset 0: the field is absent
//   vector  := count:u32 elements             elements aligned to their own size
//   string  := count:u32 bytes NUL
//   a field or element that refers to a table, vector or string is a u32 counted from itself
//
// Readers here trust the bytes; bytes of unknown origin go through PayloadVerifier first.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_FLAT_LAYOUT_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_FLAT_LAYOUT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "serialization/flat_buffer_limit.h"

namespace spillway::internal {

static_assert(std::endian::native == std::endian::little,
              "payloads are read in place, and FlatBuffers are little-endian");

// A root offset, the smallest vtable and the smallest table.
inline constexpr size_t kMinFlatBufferBytes = 12;

// Payloads stand at multiples of this; so do the elements of large vectors.
inline constexpr size_t kPayloadAlignment = 64;

template <typename T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}
template <typename T>
void Store(char* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

constexpr size_t AlignUp(size_t value, size_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

// Goes from a reference to what it refers to.
inline const char* Follow(const char* reference) { return reference + Load<uint32_t>(reference); }

inline const char* RootTable(const char* payload) { return Follow(payload); }

// Where the table's field number `slot` stands; null when it is absent.
inline const char* FieldAt(const char* table, size_t slot) {
  const char* vtable = table - Load<int32_t>(table);
  size_t entry = 2 * sizeof(uint16_t) + slot * sizeof(uint16_t);
  if (entry >= Load<uint16_t>(vtable)) return nullptr;
  uint16_t offset = Load<uint16_t>(vtable + entry);
  return offset == 0 ? nullptr : table + offset;
}

inline uint32_t VectorCount(const char* vector) { return Load<uint32_t>(vector); }
inline const char* VectorData(const char* vector) { return vector + sizeof(uint32_t); }

// --- The root table with one field, written by hand ---
//
// Most objects are one value: table X { value: T; }. Their header is constant but for one offset,
// so it is stored as three words:
//
//   0  root offset = 12
//   4  vtable: 6, 4 + size of the field, 4; two bytes of padding
//   12 table: 8 bytes back to the vtable
//   16 the field: the scalar itself, or the offset of the vector

inline constexpr size_t kVTableAt = 4;
inline constexpr size_t kTableAt = 12;
inline constexpr size_t kFieldAt = 16;

// The vtable with the two bytes of padding, as one word.
constexpr uint64_t OneFieldVTable(size_t field_size) {
  return 6u | (4u + static_cast<uint64_t>(field_size)) << 16 | uint64_t{4} << 32;
}

inline void WriteOneFieldHeader(char* out, size_t field_size) {
  Store<uint32_t>(out, kTableAt);
  Store<uint64_t>(out + kVTableAt, OneFieldVTable(field_size));
  Store<int32_t>(out + kTableAt, kTableAt - kVTableAt);
}

// Small vectors follow their header at once; large ones start on a cache line, which costs little
// then and lets vector instructions read them aligned.
inline constexpr size_t kSmallDataAt = 24;
inline constexpr size_t kLargeDataAt = kPayloadAlignment;
inline constexpr size_t kLargeVectorBytes = 1024;

constexpr size_t VectorDataAt(size_t bytes) {
  return bytes >= kLargeVectorBytes ? kLargeDataAt : kSmallDataAt;
}

// Everything up to the elements of a vector that is the only field of the root table.
inline void WriteVectorHeader(char* out, size_t count, size_t data_at) {
  WriteOneFieldHeader(out, sizeof(uint32_t));
  size_t count_at = data_at - sizeof(uint32_t);
  Store<uint32_t>(out + kFieldAt, static_cast<uint32_t>(count_at - kFieldAt));
  if (data_at != kSmallDataAt) std::memset(out + kFieldAt + 4, 0, count_at - kFieldAt - 4);
  Store<uint32_t>(out + count_at, static_cast<uint32_t>(count));
}

// The vector (or string) that is the root table's first field; null when it is absent. Payloads
// with the header above, which are nearly all, need no pointer to be followed.
inline const char* RootVector(const char* payload, size_t payload_bytes) {
  if (payload_bytes >= kFieldAt + sizeof(uint32_t) &&
      Load<uint64_t>(payload + kVTableAt) == OneFieldVTable(sizeof(uint32_t)) &&
      Load<uint32_t>(payload) == kTableAt &&
      Load<int32_t>(payload + kTableAt) == kTableAt - kVTableAt) {
    return Follow(payload + kFieldAt);
  }
  const char* field = FieldAt(RootTable(payload), 0);
  return field == nullptr ? nullptr : Follow(field);
}

// Strings of up to two cache lines carry their vtable behind them, in 23 or 24 bytes of overhead,
// the least that the format permits:
//
//   0 root offset = 4 | 4 table: to vtable | 8 offset = 4 | 12 count | 16 bytes NUL [pad] vtable
inline constexpr size_t kShortStringBytes = 104;
inline constexpr size_t kShortStringDataAt = 16;

constexpr size_t ShortStringVTableAt(size_t bytes) {
  return AlignUp(kShortStringDataAt + bytes + 1, 2);
}

// --- Strings ---

// Of a string that something else refers to, with what aligns the next part.
constexpr size_t StringBytes(size_t bytes) {
  return AlignUp(sizeof(uint32_t) + bytes + 1, sizeof(uint32_t));
}

// Writes a string at `at`; returns where the next part may stand.
inline char* WriteString(std::string_view value, char* at) {
  char* end = at + StringBytes(value.size());
  Store<uint32_t>(end - sizeof(uint32_t), 0);  // the NUL and what pads it
  Store<uint32_t>(at, static_cast<uint32_t>(value.size()));
  if (!value.empty()) std::memcpy(at + sizeof(uint32_t), value.data(), value.size());
  return end;
}

// Writes the payload of one string.
inline void EncodeString(std::string_view value, char* out) {
  size_t bytes = value.size();
  size_t data_at = kShortStringDataAt;
  if (bytes <= kShortStringBytes) {
    size_t vtable_at = ShortStringVTableAt(bytes);
    Store<uint32_t>(out, 4);
    Store<int32_t>(out + 4, 4 - static_cast<int32_t>(vtable_at));
    Store<uint32_t>(out + 8, 4);
    Store<uint32_t>(out + 12, static_cast<uint32_t>(bytes));
    out[vtable_at - 1] = 0;
    Store<uint16_t>(out + vtable_at, 6);
    Store<uint16_t>(out + vtable_at + 2, 8);
    Store<uint16_t>(out + vtable_at + 4, 4);
  } else {
    data_at = VectorDataAt(bytes);
    WriteVectorHeader(out, bytes, data_at);
  }
  if (bytes != 0) std::memcpy(out + data_at, value.data(), bytes);
  out[data_at + bytes] = 0;
}

inline std::string_view AsStringView(std::string_view text) { return text; }
// absl::string_view is a type of its own where Abseil was built so.
template <typename Text>
requires(!std::is_convertible_v<const Text&, std::string_view>) std::string_view
    AsStringView(const Text& text) {
  return {text.data(), text.size()};
}

// --- Sizes ---

// Of a root vector of `count` elements; SIZE_MAX when that is beyond what can be counted.
constexpr size_t VectorPayloadBytes(size_t count, size_t element_size) {
  if (count > kMaxFlatBufferBytes) return SIZE_MAX;
  size_t bytes = count * element_size;
  return VectorDataAt(bytes) + bytes;
}

constexpr size_t StringPayloadBytes(size_t bytes) {
  if (bytes <= kShortStringBytes) return ShortStringVTableAt(bytes) + 6;
  if (bytes > kMaxFlatBufferBytes) return SIZE_MAX;
  return VectorDataAt(bytes) + bytes + 1;
}

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_FLAT_LAYOUT_H_
