#include "serialization/internal/table_codec.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "flatbuffers/flatbuffers.h"
#include "glog/logging.h"
#include "serialization/internal/payload_verifier.h"

namespace spillway::internal {
namespace {

absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

constexpr size_t kIdentifierAt = sizeof(uint32_t);

bool HasRightIdentifier(absl::Span<const char> payload, std::string_view identifier) {
  return identifier.empty() ||
         (payload.size() >= kIdentifierAt + identifier.size() &&
          std::string_view(payload.data() + kIdentifierAt, identifier.size()) == identifier);
}

std::string WrongIdentifier(absl::Span<const char> payload, std::string_view type_name) {
  absl::string_view found(payload.data() + kIdentifierAt,
                          std::min(payload.size() - kIdentifierAt, size_t{4}));
  return absl::StrCat("its file identifier is \"", absl::CHexEscape(found), "\", not the \"",
                      TableFileIdentifier(type_name), "\" of ", AsAbsl(type_name));
}

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
  if (!HasRightIdentifier(buffer, TableFileIdentifier(type_name))) {
    return absl::InvalidArgumentError(WrongIdentifier(buffer, type_name));
  }
  return buffer.size();
}

namespace {

// Runs `use` on the finished FlatBuffer of a value. The builder's memory is kept for the next one,
// unless it is large.
template <typename Use>
auto WithPacked(const void* value, PackFunction pack, std::string_view type_name, Use use) {
  thread_local flatbuffers::FlatBufferBuilder kept_builder;
  constexpr size_t kLargestKept = size_t{1} << 20;
  // Packing may call codecs again, and an exception may leave a builder half used.
  flatbuffers::FlatBufferBuilder builder = std::move(kept_builder);
  builder.Clear();
  std::string identifier = TableFileIdentifier(type_name);
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(pack(builder, value)),
                 identifier.empty() ? nullptr : identifier.c_str());
  auto result = use(BytesOf(builder));
  if (builder.GetSize() <= kLargestKept) kept_builder = std::move(builder);
  return result;
}

}  // namespace

absl::StatusOr<size_t> CheckedPackedBytes(const void* value, PackFunction pack,
                                          std::string_view type_name) {
  return WithPacked(value, pack, type_name,
                    [](absl::Span<const char> bytes) { return bytes.size(); });
}

void PackInto(const void* value, PackFunction pack, std::string_view type_name,
              absl::Span<char> out) {
  WithPacked(value, pack, type_name, [&](absl::Span<const char> bytes) {
    CHECK_EQ(bytes.size(), out.size()) << "a " << type_name << " changed while it was encoded";
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return true;
  });
}

absl::Status VerifyTablePayload(absl::Span<const char> payload, VerifyTableFunction verify_table,
                                std::string_view type_name, const VerifyLimits& limits) {
  PayloadVerifier own(payload, limits);
  size_t root;
  if (!own.Root(&root)) return own.ToStatus(type_name);
  if (!HasRightIdentifier(payload, TableFileIdentifier(type_name))) {
    own.Fail(WrongIdentifier(payload, type_name));
    return own.ToStatus(type_name);
  }

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
