#include "serialization/internal/table_codec.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "flatbuffers/flatbuffers.h"
#include "glog/logging.h"
#include "serialization/internal/flat_layout.h"
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
  if (buffer.size() > kMaxFlatBufferBytes) return TooLargeForFlatBuffer(table.name, buffer.size());
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

// FlatBuffers' builder does not notice when its offsets overflow, and cannot be told that there is
// no more memory but by an exception, which does not leave this file.
struct BeyondFlatBuffer {};

class BoundedAllocator final : public flatbuffers::Allocator {
 public:
  uint8_t* allocate(size_t size) override {
    if (size > kMaxFlatBufferBytes) throw BeyondFlatBuffer();
    return new uint8_t[size];
  }
  void deallocate(uint8_t* bytes, size_t) override { delete[] bytes; }
};

// The finished FlatBuffer of a value in `builder`; false if it is too large.
bool Pack(const void* value, PackFunction pack, const TableInfo& table,
          flatbuffers::FlatBufferBuilder* builder) {
  try {
    builder->Clear();
    builder->Finish(flatbuffers::Offset<flatbuffers::Table>(pack(*builder, value)),
                    table.file_identifier.empty() ? nullptr : table.file_identifier.c_str());
  } catch (const BeyondFlatBuffer&) {
    return false;
  }
  return true;
}

// Runs `use` on the finished FlatBuffer of a value; InvalidArgument if it is too large. The
// builder's memory is kept for the next one, unless it is large.
template <typename Use>
absl::Status WithPacked(const void* value, PackFunction pack, const TableInfo& table, Use use) {
  static auto* const allocator = new BoundedAllocator;
  constexpr size_t kFirstRoom = 1024;
  constexpr size_t kLargestKept = size_t{1} << 20;
  // A multiple of any alignment, so that the builder asks for no more.
  constexpr size_t kMostRoom = kMaxFlatBufferBytes / kPayloadAlignment * kPayloadAlignment;
  thread_local std::unique_ptr<flatbuffers::FlatBufferBuilder> kept;
  // Packing may come here again.
  std::unique_ptr<flatbuffers::FlatBufferBuilder> builder = std::move(kept);
  if (builder == nullptr) {
    builder = std::make_unique<flatbuffers::FlatBufferBuilder>(kFirstRoom, allocator);
  }
  if (Pack(value, pack, table, builder.get())) {
    use(BytesOf(*builder));
    if (builder->GetSize() <= kLargestKept) kept = std::move(builder);
    return absl::OkStatus();
  }
  builder.reset();
  // A builder grows by half, and so asks for too much before its buffer is too large.
  flatbuffers::FlatBufferBuilder largest(kMostRoom, allocator);
  if (!Pack(value, pack, table, &largest)) return TooLargeForFlatBuffer(table.name, SIZE_MAX);
  use(BytesOf(largest));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<size_t> PackedBytes(const void* value, PackFunction pack, const TableInfo& table) {
  size_t size = 0;
  absl::Status status =
      WithPacked(value, pack, table, [&](absl::Span<const char> bytes) { size = bytes.size(); });
  if (!status.ok()) return status;
  return size;
}

void PackInto(const void* value, PackFunction pack, const TableInfo& table, absl::Span<char> out) {
  const absl::Status status = WithPacked(value, pack, table, [&](absl::Span<const char> bytes) {
    CHECK_EQ(bytes.size(), out.size()) << "a " << table.name << " changed while it was encoded";
    std::memcpy(out.data(), bytes.data(), bytes.size());
  });
  CHECK(status.ok()) << "a " << table.name << " changed while it was encoded: " << status;
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
