#include "serialization/record.h"

#include <xxhash.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace spillway {
namespace {

// Offsets of the fields, in the order of FORMAT.md.
constexpr size_t kMagicAt = 0;
constexpr size_t kVersionAt = 4;
constexpr size_t kEncodingAt = 5;
constexpr size_t kFlagsAt = 6;
constexpr size_t kCompressionAt = 7;
constexpr size_t kObjectIdAt = 8;
constexpr size_t kTypeIdAt = 16;
constexpr size_t kFingerprintAt = 24;
constexpr size_t kPayloadBytesAt = 32;
constexpr size_t kChunkNumberAt = 40;
constexpr size_t kChunkCountAt = 44;
constexpr size_t kChunkStrideAt = 48;
constexpr size_t kStoredBytesAt = 52;
constexpr size_t kChecksumAt = 56;
static_assert(kChecksumAt + sizeof(uint64_t) == kRecordHeaderBytes);

constexpr uint8_t kFlagDurable = 1;
constexpr uint8_t kKnownFlags = kFlagDurable;

template <typename T>
void PutLittleEndian(T value, char* out) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out[i] = static_cast<char>(static_cast<uint8_t>(value >> (8 * i)));
  }
}

template <typename T>
T GetLittleEndian(const char* in) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<uint8_t>(in[i])) << (8 * i);
  }
  return value;
}

// Why the header cannot be right, or nullptr. Both sides of the disk ask: a header that fails here
// is never written, and is never believed.
const char* Contradiction(const RecordHeader& header) {
  if (header.object_id == 0) return "has no object id";
  if (header.type.encoding > Encoding::kCustom) return "has an unknown encoding";
  if (header.compression > ChunkCompression::kZstd) return "has an unknown compression";
  if (header.chunk_stride_bytes == 0 && header.payload_bytes != 0) return "has chunks of no size";
  if (header.chunk_count != ChunkCount(header.payload_bytes, header.chunk_stride_bytes)) {
    return "has a chunk count that does not fit its size";
  }
  if (header.chunk_number >= header.chunk_count) return "has a chunk number beyond its chunk count";
  const uint64_t chunk_bytes = header.chunk_bytes();
  if (header.compression == ChunkCompression::kNone ? header.stored_bytes != chunk_bytes
                                                    : header.stored_bytes >= chunk_bytes) {
    return "stores a number of bytes that does not fit its size";
  }
  return nullptr;
}

}  // namespace

uint32_t ChunkCount(uint64_t payload_bytes, uint32_t chunk_stride_bytes) {
  if (payload_bytes == 0 || chunk_stride_bytes == 0) return 1;
  const uint64_t count = (payload_bytes - 1) / chunk_stride_bytes + 1;
  // An absurd size does not wrap around to a plausible count.
  return count > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(count);
}

void EncodeRecordHeader(const RecordHeader& header, char* out) {
  const char* contradiction = Contradiction(header);
  CHECK(contradiction == nullptr) << "record of object " << header.object_id << " "
                                  << contradiction;
  PutLittleEndian<uint32_t>(kRecordMagic, out + kMagicAt);
  out[kVersionAt] = static_cast<char>(kRecordVersion);
  out[kEncodingAt] = static_cast<char>(header.type.encoding);
  out[kFlagsAt] = static_cast<char>(header.durable ? kFlagDurable : 0);
  out[kCompressionAt] = static_cast<char>(header.compression);
  PutLittleEndian<uint64_t>(header.object_id, out + kObjectIdAt);
  PutLittleEndian<uint64_t>(header.type.type_id, out + kTypeIdAt);
  PutLittleEndian<uint64_t>(header.type.fingerprint, out + kFingerprintAt);
  PutLittleEndian<uint64_t>(header.payload_bytes, out + kPayloadBytesAt);
  PutLittleEndian<uint32_t>(header.chunk_number, out + kChunkNumberAt);
  PutLittleEndian<uint32_t>(header.chunk_count, out + kChunkCountAt);
  PutLittleEndian<uint32_t>(header.chunk_stride_bytes, out + kChunkStrideAt);
  PutLittleEndian<uint32_t>(header.stored_bytes, out + kStoredBytesAt);
  PutLittleEndian<uint64_t>(XXH3_64bits(out, kChecksumAt), out + kChecksumAt);
}

absl::Status DecodeRecordHeaderOnly(absl::string_view record, RecordHeader* header) {
  if (record.size() < kRecordHeaderBytes) {
    return absl::DataLossError(absl::StrCat("record of ", record.size(),
                                            " bytes is shorter than its header of ",
                                            kRecordHeaderBytes, " bytes"));
  }
  const char* in = record.data();
  if (GetLittleEndian<uint32_t>(in + kMagicAt) != kRecordMagic) {
    return absl::DataLossError("not a record: it does not begin with the magic number");
  }
  // Before the checksum: a newer version may keep its checksum elsewhere.
  const uint8_t version = static_cast<uint8_t>(in[kVersionAt]);
  if (version != kRecordVersion) {
    return absl::DataLossError(absl::StrCat("record is of version ", version,
                                            ", this program reads version ", kRecordVersion));
  }
  if (GetLittleEndian<uint64_t>(in + kChecksumAt) != XXH3_64bits(in, kChecksumAt)) {
    return absl::DataLossError("record header does not fit its checksum");
  }
  const uint8_t flags = static_cast<uint8_t>(in[kFlagsAt]);
  if ((flags & ~kKnownFlags) != 0) {
    return absl::DataLossError(absl::StrCat("record has unknown flags ", flags));
  }
  header->object_id = GetLittleEndian<uint64_t>(in + kObjectIdAt);
  header->type.type_id = GetLittleEndian<uint64_t>(in + kTypeIdAt);
  header->type.fingerprint = GetLittleEndian<uint64_t>(in + kFingerprintAt);
  header->type.encoding = static_cast<Encoding>(in[kEncodingAt]);
  header->durable = (flags & kFlagDurable) != 0;
  header->compression = static_cast<ChunkCompression>(in[kCompressionAt]);
  header->payload_bytes = GetLittleEndian<uint64_t>(in + kPayloadBytesAt);
  header->chunk_number = GetLittleEndian<uint32_t>(in + kChunkNumberAt);
  header->chunk_count = GetLittleEndian<uint32_t>(in + kChunkCountAt);
  header->chunk_stride_bytes = GetLittleEndian<uint32_t>(in + kChunkStrideAt);
  header->stored_bytes = GetLittleEndian<uint32_t>(in + kStoredBytesAt);
  if (const char* contradiction = Contradiction(*header); contradiction != nullptr) {
    return absl::DataLossError(
        absl::StrCat("record of object ", header->object_id, " ", contradiction));
  }
  return absl::OkStatus();
}

absl::Status DecodeRecordHeader(absl::string_view record, RecordHeader* header) {
  absl::Status status = DecodeRecordHeaderOnly(record, header);
  if (!status.ok()) return status;
  if (header->stored_bytes != record.size() - kRecordHeaderBytes) {
    return absl::DataLossError(absl::StrCat(
        "record of object ", header->object_id, " chunk ", header->chunk_number, " holds ",
        record.size() - kRecordHeaderBytes, " bytes, its header says ", header->stored_bytes));
  }
  return absl::OkStatus();
}

}  // namespace spillway
