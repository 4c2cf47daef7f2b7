#include "serialization/internal/table_codec.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "flatbuffers/flatbuffers.h"
#include "serialization/internal/payload_verifier.h"

namespace spillway::internal {
namespace {

absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::Span<const char> BytesOf(const flatbuffers::DetachedBuffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

absl::Span<const char> BytesOf(const flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

absl::StatusOr<size_t> CheckedBufferBytes(absl::Span<const char> buffer,
                                          std::string_view type_name) {
  if (buffer.size() < kMinFlatBufferBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a buffer of ", buffer.size(),
                                                   " bytes is not a finished FlatBuffer of ",
                                                   AsAbsl(type_name)));
  }
  return buffer.size();
}

uint64_t TableFingerprint(std::string_view /*type_name*/) { return 0; }

absl::Status VerifyTablePayload(absl::Span<const char> payload, VerifyTableFunction verify_table,
                                std::string_view type_name, const VerifyLimits& limits) {
  PayloadVerifier own(payload, limits);
  size_t root;
  if (!own.Root(&root)) return own.ToStatus(type_name);

  flatbuffers::Verifier::Options options;
  options.max_depth = limits.max_depth;
  options.max_tables = static_cast<flatbuffers::uoffset_t>(std::min<uint64_t>(
      UINT32_MAX,
      uint64_t{limits.max_visits_per_byte} * payload.size() + limits.max_visits_allowance));
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(payload.data()), payload.size(),
                                 options);
  if (!verify_table(payload.data() + root, verifier)) {
    own.Fail(
        absl::StrCat("the FlatBuffers verifier refuses it (out of bounds, or nested deeper than ",
                     options.max_depth, ", or more than ", options.max_tables, " tables)"));
  }
  return own.ToStatus(type_name);
}

}  // namespace spillway::internal
