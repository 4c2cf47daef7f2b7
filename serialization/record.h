// The record envelope: the header in front of every chunk of payload that leaves memory.
//
// A record says by itself whose bytes follow it and how to read them, so that a misdirected, stale
// or damaged read is found out, and so that a directory can be listed and checked without an index.
// The byte layout is fixed, little-endian, and described in serialization/FORMAT.md.
//
// A payload of more than one chunk is stored as one record per chunk. All chunks but the last hold
// exactly `chunk_stride_bytes` of payload, so that chunk i begins at i * chunk_stride_bytes.
//
// Thread-safety: free functions without state.
#ifndef SPILLWAY_SERIALIZATION_RECORD_H_
#define SPILLWAY_SERIALIZATION_RECORD_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "serialization/object_type.h"

namespace spillway {

// How a chunk's bytes are stored.
enum class ChunkCompression : uint8_t {
  kNone = 0,
  kLz4 = 1,   // an LZ4 block
  kZstd = 2,  // a Zstandard frame
};

struct RecordHeader {
  uint64_t object_id = 0;
  ObjectType type;
  bool durable = false;
  ChunkCompression compression = ChunkCompression::kNone;
  uint64_t payload_bytes = 0;       // of the whole object
  uint32_t chunk_number = 0;        // counts from 0
  uint32_t chunk_count = 1;         // at least 1, also for an empty payload
  uint32_t chunk_stride_bytes = 0;  // payload bytes per chunk, but for the last one
  uint32_t stored_bytes = 0;        // bytes that follow the header

  // Where this chunk's bytes begin in the payload, and how many they are once decompressed.
  uint64_t chunk_offset() const { return uint64_t{chunk_number} * chunk_stride_bytes; }
  uint64_t chunk_bytes() const {
    const uint64_t rest = payload_bytes - chunk_offset();
    return rest < chunk_stride_bytes ? rest : chunk_stride_bytes;
  }

  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

inline constexpr size_t kRecordHeaderBytes = 64;
inline constexpr uint8_t kRecordVersion = 1;
inline constexpr uint32_t kRecordMagic = 0x524C5053;  // "SPLR" as stored

// Number of chunks of a payload: at least one.
uint32_t ChunkCount(uint64_t payload_bytes, uint32_t chunk_stride_bytes);

// Writes exactly kRecordHeaderBytes to `out`. `header` must be consistent (see DecodeRecordHeader).
void EncodeRecordHeader(const RecordHeader& header, char* out);

// Reads the header at the front of `record`, which is the header and the bytes stored behind it.
// DataLoss when it is too short, is not a record, was changed, is of a newer version, or
// contradicts itself. On success header->stored_bytes + kRecordHeaderBytes == record.size().
absl::Status DecodeRecordHeader(absl::string_view record, RecordHeader* header);

// The same for a header that stands alone: what follows it in `bytes` is not looked at.
absl::Status DecodeRecordHeaderOnly(absl::string_view bytes, RecordHeader* header);

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_RECORD_H_
