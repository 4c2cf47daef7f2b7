#include "serialization/internal/payload_verifier.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "serialization/internal/flat_layout.h"

namespace spillway::internal {
namespace {

absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

bool IsAligned(size_t at, size_t alignment) { return (at & (alignment - 1)) == 0; }

// The largest alignment that a payload's parts can ask for; payloads stand at multiples of it.
constexpr size_t kMaxPartAlignment = 16;

}  // namespace

PayloadVerifier::PayloadVerifier(absl::Span<const char> payload, const VerifyLimits& limits)
    : payload_(payload),
      limits_(limits),
      visits_left_(uint64_t{limits.max_visits_per_byte} * payload.size() +
                   limits.max_visits_allowance),
      expansion_left_(uint64_t{limits.max_expansion} * payload.size() +
                      limits.max_expansion_allowance) {}

bool PayloadVerifier::Fail(std::string what) {
  if (error_.empty()) error_ = std::move(what);
  return false;
}

bool PayloadVerifier::Visit(uint64_t visits) {
  if (visits > visits_left_) {
    return Fail(
        "its parts are shared so often that reading it would take more visits than the limit");
  }
  visits_left_ -= visits;
  return true;
}

bool PayloadVerifier::Root(size_t* table) {
  if (!IsAligned(reinterpret_cast<uintptr_t>(payload_.data()), kMaxPartAlignment)) {
    return Fail(
        absl::StrCat("it does not start at a multiple of ", kMaxPartAlignment, " in memory"));
  }
  if (payload_.size() > kMaxFlatBufferBytes) {
    return Fail(absl::StrCat("it is longer than a FlatBuffer can be, ", kMaxFlatBufferBytes));
  }
  if (payload_.size() < sizeof(uint32_t)) return Fail("it is too short for a root offset");
  return Reference(0, table);
}

bool PayloadVerifier::EnterTable(size_t table) {
  if (depth_ >= limits_.max_depth) {
    return Fail(absl::StrCat("its tables are nested deeper than the limit of ", limits_.max_depth));
  }
  if (!Visit()) return false;
  if (!IsAligned(table, sizeof(uint32_t)) || !InPayload(table, sizeof(int32_t))) {
    return Fail(absl::StrCat("no table can stand at byte ", table));
  }
  int64_t vtable = static_cast<int64_t>(table) - Load<int32_t>(bytes() + table);
  if (vtable < 0 || !IsAligned(static_cast<size_t>(vtable), sizeof(uint16_t)) ||
      !InPayload(static_cast<size_t>(vtable), 2 * sizeof(uint16_t))) {
    return Fail(
        absl::StrCat("the vtable of the table at byte ", table, " would stand at byte ", vtable));
  }
  size_t vtable_size = Load<uint16_t>(bytes() + vtable);
  size_t table_size = Load<uint16_t>(bytes() + vtable + sizeof(uint16_t));
  if (vtable_size < 2 * sizeof(uint16_t) || !IsAligned(vtable_size, sizeof(uint16_t)) ||
      !InPayload(static_cast<size_t>(vtable), vtable_size)) {
    return Fail(
        absl::StrCat("the vtable at byte ", vtable, " says it has ", vtable_size, " bytes"));
  }
  if (table_size < sizeof(int32_t) || !InPayload(table, table_size)) {
    return Fail(absl::StrCat("the table at byte ", table, " says it has ", table_size, " bytes"));
  }
  ++depth_;
  return true;
}

bool PayloadVerifier::Field(size_t table, size_t slot, size_t size, size_t alignment, size_t* at) {
  const char* field = FieldAt(bytes() + table, slot);
  if (field == nullptr) {
    *at = 0;
    return true;
  }
  *at = static_cast<size_t>(field - bytes());
  const char* vtable = bytes() + table - Load<int32_t>(bytes() + table);
  size_t table_size = Load<uint16_t>(vtable + sizeof(uint16_t));
  size_t offset = *at - table;
  if (offset < sizeof(int32_t) || offset + size > table_size || !IsAligned(*at, alignment)) {
    return Fail(absl::StrCat("field ", slot, " of the table at byte ", table,
                             " would stand at byte ", *at, ", outside the table or unaligned"));
  }
  return true;
}

bool PayloadVerifier::Reference(size_t at, size_t* target) {
  uint32_t offset = Load<uint32_t>(bytes() + at);
  *target = at + offset;
  if (offset == 0 || *target >= payload_.size()) {
    return Fail(absl::StrCat("the offset at byte ", at, " is ", offset, ", which leads out of it"));
  }
  return true;
}

bool PayloadVerifier::Vector(size_t vector, size_t element_size, size_t alignment, size_t* data,
                             size_t* count) {
  if (!Visit()) return false;
  if (!IsAligned(vector, sizeof(uint32_t)) || !InPayload(vector, sizeof(uint32_t))) {
    return Fail(absl::StrCat("no vector can stand at byte ", vector));
  }
  *count = VectorCount(bytes() + vector);
  *data = vector + sizeof(uint32_t);
  if (*count > (payload_.size() - *data) / element_size) {
    return Fail(absl::StrCat("the vector at byte ", vector, " would have ", *count, " elements of ",
                             element_size, " bytes, more than there are"));
  }
  if (*count * element_size > expansion_left_) {
    return Fail(
        "its strings and vectors are shared so often that it would expand beyond the limit");
  }
  expansion_left_ -= *count * element_size;
  if (*count != 0 && !IsAligned(*data, alignment)) {
    return Fail(absl::StrCat("the elements at byte ", *data, " are not aligned to ", alignment));
  }
  return true;
}

bool PayloadVerifier::String(size_t string) {
  size_t data, count;
  if (!Vector(string, 1, 1, &data, &count)) return false;
  if (!InPayload(data + count, 1) || bytes()[data + count] != '\0') {
    return Fail(absl::StrCat("the string at byte ", string, " is not ended by a NUL"));
  }
  return true;
}

bool PayloadVerifier::VectorOfStrings(size_t vector) {
  size_t data, count;
  if (!Vector(vector, sizeof(uint32_t), sizeof(uint32_t), &data, &count)) return false;
  for (size_t i = 0; i < count; ++i) {
    size_t string;
    if (!Reference(data + i * sizeof(uint32_t), &string) || !String(string)) return false;
  }
  return true;
}

bool PayloadVerifier::Bytes(size_t at, size_t size, size_t alignment) {
  if (!Visit()) return false;
  return (IsAligned(at, alignment) && InPayload(at, size)) ||
         Fail(absl::StrCat("no struct of ", size, " bytes can stand at byte ", at));
}

bool PayloadVerifier::Bools(size_t at, size_t count) {
  if (!Visit(count / sizeof(uint64_t))) return false;
  for (size_t i = 0; i < count; ++i) {
    if (static_cast<unsigned char>(bytes()[at + i]) > 1) {
      return Fail(absl::StrCat("byte ", at + i, " is to be a bool and is neither 0 nor 1"));
    }
  }
  return true;
}

absl::Status PayloadVerifier::ToStatus(std::string_view type_name) const {
  if (error_.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("payload of ", payload_.size(), " bytes is not a valid ",
                                          AsAbsl(type_name), ": ", error_));
}

namespace {

// Calls `check` with the position of the root table's only field, unless it is absent.
template <typename Check>
absl::Status VerifyOneField(absl::Span<const char> payload, size_t size, size_t alignment,
                            std::string_view type_name, const VerifyLimits& limits, Check check) {
  PayloadVerifier verifier(payload, limits);
  size_t table, at;
  if (verifier.Root(&table) && verifier.EnterTable(table) &&
      verifier.Field(table, 0, size, alignment, &at) && at != 0) {
    check(verifier, at);
  }
  return verifier.ToStatus(type_name);
}

}  // namespace

absl::Status VerifyScalarPayload(absl::Span<const char> payload, size_t size, bool is_bool,
                                 std::string_view type_name, const VerifyLimits& limits) {
  return VerifyOneField(
      payload, size, size, type_name, limits,
      [&](PayloadVerifier& verifier, size_t at) { return !is_bool || verifier.Bools(at, 1); });
}

absl::Status VerifyVectorPayload(absl::Span<const char> payload, size_t element_size,
                                 size_t alignment, bool element_is_bool, std::string_view type_name,
                                 const VerifyLimits& limits) {
  return VerifyOneField(payload, sizeof(uint32_t), sizeof(uint32_t), type_name, limits,
                        [&](PayloadVerifier& verifier, size_t at) {
                          size_t vector, data, count;
                          return verifier.Reference(at, &vector) &&
                                 verifier.Vector(vector, element_size, alignment, &data, &count) &&
                                 (!element_is_bool || verifier.Bools(data, count));
                        });
}

absl::Status VerifyStringPayload(absl::Span<const char> payload, std::string_view type_name,
                                 const VerifyLimits& limits) {
  return VerifyOneField(payload, sizeof(uint32_t), sizeof(uint32_t), type_name, limits,
                        [](PayloadVerifier& verifier, size_t at) {
                          size_t string;
                          return verifier.Reference(at, &string) && verifier.String(string);
                        });
}

absl::Status VerifyStringVectorPayload(absl::Span<const char> payload, std::string_view type_name,
                                       const VerifyLimits& limits) {
  return VerifyOneField(payload, sizeof(uint32_t), sizeof(uint32_t), type_name, limits,
                        [](PayloadVerifier& verifier, size_t at) {
                          size_t vector;
                          return verifier.Reference(at, &vector) &&
                                 verifier.VectorOfStrings(vector);
                        });
}

}  // namespace spillway::internal

namespace spillway {

absl::Status TooLargeForFlatBuffer(std::string_view type_name, size_t bytes) {
  return absl::InvalidArgumentError(absl::StrCat(
      absl::string_view(type_name.data(), type_name.size()), " needs a payload of ",
      bytes == SIZE_MAX ? "far more" : absl::StrCat(bytes, " bytes, more"), " than the ",
      kMaxFlatBufferBytes, " bytes of the largest FlatBuffer; split it, or put it as RawBytes"));
}

}  // namespace spillway
