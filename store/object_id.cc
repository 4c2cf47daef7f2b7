#include "store/object_id.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spillway {

std::string ToString(ObjectId id) { return absl::StrFormat("%016x", id.value); }

std::ostream& operator<<(std::ostream& out, ObjectId id) { return out << ToString(id); }

absl::StatusOr<ObjectId> ParseObjectId(absl::string_view text) {
  ObjectId id;
  for (const char c : text) {
    if (text.size() > 16 || !absl::ascii_isxdigit(static_cast<unsigned char>(c))) {
      id.value = 0;
      break;
    }
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    id.value = id.value << 4 | static_cast<uint64_t>(digit);
  }
  if (!id) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no object id: 1 to 16 hexadecimal digits, not all zero"));
  }
  return id;
}

}  // namespace spillway
