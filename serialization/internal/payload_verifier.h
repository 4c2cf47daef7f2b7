// Checks FlatBuffers of unknown origin, piece by piece, against the type that is expected.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_PAYLOAD_VERIFIER_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_PAYLOAD_VERIFIER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "serialization/flat_buffer_limit.h"
#include "serialization/verify_limits.h"

namespace spillway::internal {

// A codec walks its type and asks this class about each part before it goes on to what the part
// refers to. Parts are named by their position in the payload. Every method returns false once
// something is wrong and keeps the first error; what it accepted may be read without further
// checks.
//
// Not thread-safe; one object per payload.
class PayloadVerifier {
 public:
  explicit PayloadVerifier(absl::Span<const char> payload, const VerifyLimits& limits = {});

  // The root table's position. Also refuses payloads that are too short, too long or misaligned.
  bool Root(size_t* table);

  // Goes into the table at `table`, one level deeper: its vtable and inline bytes lie in the
  // payload. Each successful call is paired with LeaveTable.
  bool EnterTable(size_t table);
  void LeaveTable() { --depth_; }

  // Where field `slot` of a table that was entered stands; 0 when it is absent. `size` bytes at
  // multiples of `alignment` may be read there.
  bool Field(size_t table, size_t slot, size_t size, size_t alignment, size_t* at);

  // What the reference at `at` (a position that was checked) refers to.
  bool Reference(size_t at, size_t* target);

  // A vector with elements of this size and alignment; `data` is where the first one stands.
  bool Vector(size_t vector, size_t element_size, size_t alignment, size_t* data, size_t* count);
  bool String(size_t string);
  // A vector of references to strings.
  bool VectorOfStrings(size_t vector);

  // `size` bytes at a multiple of `alignment`, wherever they stand.
  bool Bytes(size_t at, size_t size, size_t alignment);

  // `count` bytes that will be read as bool.
  bool Bools(size_t at, size_t count);

  // Counts work that is done elsewhere, in references followed or words looked at.
  bool Visit(uint64_t visits = 1);

  // Records `what` as the error, unless there is one, and returns false.
  bool Fail(std::string what);

  bool ok() const { return error_.empty(); }
  const char* bytes() const { return payload_.data(); }
  size_t size() const { return payload_.size(); }
  const VerifyLimits& limits() const { return limits_; }

  // OK, or DataLoss that says what is wrong, where, and that it was to be read as `type_name`.
  absl::Status ToStatus(std::string_view type_name) const;

 private:
  bool InPayload(size_t at, size_t size) const {
    return at <= payload_.size() && size <= payload_.size() - at;
  }

  absl::Span<const char> payload_;
  VerifyLimits limits_;
  uint64_t visits_left_;
  uint64_t expansion_left_;
  uint32_t depth_ = 0;
  std::string error_;
};

// Checks payloads that are one value in a table, the shapes of flat_layout.h. `element_is_bool`
// says that the bytes will be read as bool.
absl::Status VerifyScalarPayload(absl::Span<const char> payload, size_t size, bool is_bool,
                                 std::string_view type_name, const VerifyLimits& limits);
absl::Status VerifyVectorPayload(absl::Span<const char> payload, size_t element_size,
                                 size_t alignment, bool element_is_bool, std::string_view type_name,
                                 const VerifyLimits& limits);
absl::Status VerifyStringPayload(absl::Span<const char> payload, std::string_view type_name,
                                 const VerifyLimits& limits);
absl::Status VerifyStringVectorPayload(absl::Span<const char> payload, std::string_view type_name,
                                       const VerifyLimits& limits);

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_PAYLOAD_VERIFIER_H_
