#include "serialization/internal/table_codec.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "flatbuffers/flatbuffers.h"
#include "glog/logging.h"
#include "serialization/internal/payload_verifier.h"
#include "serialization/internal/schema_verifier.h"

namespace spillway::internal {
namespace {

constexpr size_t kIdentifierAt = sizeof(uint32_t);

// Says what is wrong with the payload's file identifier; nothing if it is right.
std::string IdentifierError(absl::Span<const char> payload, const TableInfo& table) {
  std::string_view wanted = table.file_identifier;
  if (wanted.empty()) return "";
  absl::string_view found(payload.data() + kIdentifierAt,
                          std::min(payload.size() - kIdentifierAt, wanted.size()));
  if (std::string_view(found.data(), found.size()) == wanted) return "";
  return absl::StrCat("it does not have the file identifier \"", table.file_identifier, "\" but \"",
                      absl::CHexEscape(found), "\"");
}

}  // namespace

absl::Span<const char> BytesOf(const flatbuffers::DetachedBuffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

absl::Span<const char> BytesOf(const flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

absl::StatusOr<size_t> CheckedBufferBytes(absl::Span<const char> buffer, const TableInfo& table) {
  std::string error;
  if (buffer.size() < kMinFlatBufferBytes) {
    error = "it is too short";
  } else {
    error = IdentifierError(buffer, table);
  }
  if (error.empty()) return buffer.size();
  return absl::InvalidArgumentError(absl::StrCat("buffer of ", buffer.size(),
                                                 " bytes is not a finished FlatBuffer of ",
                                                 table.name, ": ", error));
}

namespace {

// Runs `use` on the finished FlatBuffer of a value. The builder's memory is kept for the next one,
// unless it is large.
template <typename Use>
auto WithPacked(const void* value, PackFunction pack, const TableInfo& table, Use use) {
  thread_local flatbuffers::FlatBufferBuilder kept_builder;
  constexpr size_t kLargestKept = size_t{1} << 20;
  // Packing may come here again.
  flatbuffers::FlatBufferBuilder builder = std::move(kept_builder);
  builder.Clear();
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(pack(builder, value)),
                 table.file_identifier.empty() ? nullptr : table.file_identifier.c_str());
  auto result = use(BytesOf(builder));
  if (builder.GetSize() <= kLargestKept) kept_builder = std::move(builder);
  return result;
}

}  // namespace

absl::StatusOr<size_t> PackedBytes(const void* value, PackFunction pack, const TableInfo& table) {
  return WithPacked(value, pack, table, [](absl::Span<const char> bytes) { return bytes.size(); });
}

void PackInto(const void* value, PackFunction pack, const TableInfo& table, absl::Span<char> out) {
  WithPacked(value, pack, table, [&](absl::Span<const char> bytes) {
    CHECK_EQ(bytes.size(), out.size()) << "a " << table.name << " changed while it was encoded";
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return true;
  });
}

absl::Status VerifyTablePayload(absl::Span<const char> payload, VerifyTableFunction verify_table,
                                const TableInfo& table, const VerifyLimits& limits) {
  PayloadVerifier own(payload, limits);
  size_t root;
  if (!own.Root(&root)) return own.ToStatus(table.name);
  if (std::string error = IdentifierError(payload, table); !error.empty()) {
    own.Fail(std::move(error));
    return own.ToStatus(table.name);
  }
  if (table.binary_schema != nullptr &&
      !VerifyTableBySchema(own, table.binary_schema, table.name, root)) {
    return own.ToStatus(table.name);
  }
  // Knows what attributes ask for, as nested FlatBuffers.
  flatbuffers::Verifier::Options options;
  options.max_depth = limits.max_depth;
  options.max_tables = static_cast<flatbuffers::uoffset_t>(std::min<uint64_t>(
      UINT32_MAX,
      uint64_t{limits.max_visits_per_byte} * payload.size() + limits.max_visits_allowance));
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(payload.data()), payload.size(),
                                 options);
  if (!verify_table(payload.data() + root, verifier)) {
    own.Fail(
        absl::StrCat("the FlatBuffers verifier refuses it: out of bounds, or tables nested deeper "
                     "than ",
                     options.max_depth, ", or more than ", options.max_tables, " of them"));
  }
  return own.ToStatus(table.name);
}

}  // namespace spillway::internal
