// Lays out FlatBuffers front to back, straight into the memory where they are to stay.
//
// A builder (flatbuffers::FlatBufferBuilder) grows backwards in memory of its own and is copied out
// of it. This writer runs twice over the same value instead: once to count, and once to write into
// a place of exactly that size. Since references in FlatBuffers lead forward, a table is written
// before what it refers to, and its references are filled in as their targets are placed.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_FLAT_WRITER_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_FLAT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "serialization/internal/flat_layout.h"

namespace spillway::internal {

// Where the fields of a table stand. Fields are ordered by size, so that none needs padding before
// it; `offsets[i]` is 0 for a field that is absent.
struct TableShape {
  static constexpr size_t kMaxFields = 64;

  uint16_t field_count = 0;
  uint16_t table_size = 0;
  uint16_t alignment = 4;  // of the first field, which stands 4 bytes into the table
  uint16_t offsets[kMaxFields] = {};
};

// The shape of a table whose field i has sizes[i] bytes and is there if bit i of `present` is set.
constexpr TableShape ShapeOf(const size_t* sizes, const size_t* alignments, size_t field_count,
                             uint64_t present) {
  TableShape shape;
  shape.field_count = static_cast<uint16_t>(field_count);
  size_t offset = sizeof(int32_t);
  for (size_t alignment = 8; alignment != 0; alignment /= 2) {
    for (size_t i = 0; i < field_count; ++i) {
      if (alignments[i] != alignment || (present >> i & 1) == 0) continue;
      if (alignment > shape.alignment) shape.alignment = static_cast<uint16_t>(alignment);
      shape.offsets[i] = static_cast<uint16_t>(offset);
      offset += sizes[i];
    }
  }
  shape.table_size = static_cast<uint16_t>(offset);
  return shape;
}

// Not thread-safe. Positions are counted from the payload's first byte.
class FlatWriter {
 public:
  // Counts only.
  FlatWriter() = default;
  // Writes. REQUIRES: out.data() stands at a multiple of kPayloadAlignment.
  explicit FlatWriter(absl::Span<char> out) : out_(out.data()), limit_(out.size()) {}

  // Bytes used so far.
  size_t position() const { return position_; }
  bool counting() const { return out_ == nullptr; }

  // Records that a part cannot be encoded; the first error is kept. Only met while counting.
  void Fail(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }
  const absl::Status& status() const { return status_; }

  // The next `size` bytes at a multiple of `alignment`, less `skew` bytes: for what is preceded by
  // a header of that size. What is left out is zeroed; the bytes themselves are the caller's to
  // write.
  size_t Reserve(size_t size, size_t alignment, size_t skew = 0) {
    size_t begin = AlignUp(position_ + skew, alignment) - skew;
    size_t end = begin + size;
    if (out_ != nullptr) {
      if (end > limit_) [[unlikely]] {
        DieOfChange();
      }
      std::memset(out_ + position_, 0, begin - position_);
    }
    position_ = end;
    return begin;
  }

  // Checks that the value was what it was when it was counted.
  void Finish() const {
    if (position_ != limit_) DieOfChange();
  }

  template <typename T>
  void Put(size_t at, T value) {
    if (out_ != nullptr) Store(out_ + at, value);
  }
  void PutBytes(size_t at, const void* bytes, size_t size) {
    if (out_ != nullptr && size != 0) std::memcpy(out_ + at, bytes, size);
  }
  // Where a codec writes for itself; null while counting.
  char* At(size_t at) { return out_ == nullptr ? nullptr : out_ + at; }

  // Makes the reference at `at` lead to `target`. REQUIRES: target > at.
  void Refer(size_t at, size_t target) { Put<uint32_t>(at, static_cast<uint32_t>(target - at)); }

  // A table with zeroed fields; returns its position. Tables with the same `type` (any address that
  // stands for it) and the same fields present share one vtable.
  size_t BeginTable(const TableShape& shape, const void* type, uint64_t present);

  // A string; returns its position.
  size_t WriteString(std::string_view value) {
    size_t at = Reserve(StringBytes(value.size()), sizeof(uint32_t));
    if (out_ != nullptr) internal::WriteString(value, out_ + at);
    return at;
  }

  // A vector whose elements the caller writes; returns its position. The elements follow 4 bytes
  // behind.
  size_t BeginVector(size_t count, size_t element_size, size_t alignment) {
    size_t bytes = count * element_size;
    if (bytes >= kLargeVectorBytes && alignment < kPayloadAlignment) alignment = kPayloadAlignment;
    if (alignment < sizeof(uint32_t)) alignment = sizeof(uint32_t);
    size_t at = Reserve(sizeof(uint32_t) + bytes, alignment, sizeof(uint32_t));
    Put<uint32_t>(at, static_cast<uint32_t>(count));
    return at;
  }

 private:
  struct VTable {
    const void* type;
    uint64_t present;
    size_t position;
  };

  [[noreturn]] void DieOfChange() const;

  char* out_ = nullptr;
  size_t limit_ = 0;
  size_t position_ = 0;
  absl::Status status_;
  absl::InlinedVector<VTable, 8> vtables_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_FLAT_WRITER_H_
