// What is read besides payloads: the envelope of a record, compressed chunks, names of types.
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/escaping.h"
#include "serialization/record.h"
#include "spill/internal/chunk_codec.h"
#include "tests/serialization/fuzz/decoder_fuzz.h"

namespace spillway {
namespace {

constexpr size_t kChecksumAt = kRecordHeaderBytes - sizeof(uint64_t);

bool RunRecord(std::string_view bytes) {
  RecordHeader header;
  const absl::string_view record(bytes.data(), bytes.size());
  if (!DecodeRecordHeader(record, &header).ok()) return false;
  CHECK_EQ(kRecordHeaderBytes + header.stored_bytes, record.size());
  CHECK_LT(header.chunk_number, header.chunk_count);
  CHECK_LE(header.chunk_offset(), header.payload_bytes);
  CHECK_LE(header.chunk_bytes(), header.payload_bytes - header.chunk_offset());
  CHECK_LE(header.stored_bytes, header.chunk_bytes());
  // What is believed is what the writer would have written.
  char again[kRecordHeaderBytes];
  EncodeRecordHeader(header, again);
  CHECK_EQ(std::memcmp(again, bytes.data(), kRecordHeaderBytes), 0);
  return true;
}

// The same with the checksum put right, which no mutation would do.
bool RunCheckedRecord(std::string_view bytes) {
  std::string record(bytes);
  if (record.size() >= kRecordHeaderBytes) {
    internal::Store(record.data() + kChecksumAt, XXH3_64bits(record.data(), kChecksumAt));
  }
  return RunRecord(record);
}

std::string RecordOf(std::string_view stored, uint64_t payload_bytes, uint32_t chunk_number) {
  RecordHeader header;
  header.object_id = 42;
  header.type = {7, 8, Encoding::kCustom};
  header.payload_bytes = payload_bytes;
  header.chunk_stride_bytes = 16;
  header.chunk_number = chunk_number;
  header.chunk_count = ChunkCount(payload_bytes, header.chunk_stride_bytes);
  header.stored_bytes = static_cast<uint32_t>(stored.size());
  if (stored.size() != header.chunk_bytes()) header.compression = ChunkCompression::kLz4;
  std::string record(kRecordHeaderBytes, '\0');
  EncodeRecordHeader(header, record.data());
  return record.append(stored);
}

// Two bytes with the size that the chunk is to have, then the chunk.
template <ChunkCompression compression>
bool RunChunk(std::string_view bytes) {
  if (bytes.size() < sizeof(uint16_t)) return false;
  Payload out(internal::Load<uint16_t>(bytes.data()));
  bytes.remove_prefix(sizeof(uint16_t));
  const Payload stored(bytes);  // at the end of its memory
  return internal::DecompressChunk(compression, {stored.bytes().data(), stored.size()},
                                   out.mutable_bytes())
      .ok();
}

// 300 times a, bcd, 500 times e, as lz4 1.9 and zstd 1.5 compress it; other versions may write
// something else, but read this.
constexpr char kLz4Chunk[] = "23031f610100ff194f626364650100ffdc506565656565";
constexpr char kZstdChunk[] = "230328b52ffd602302850000306161626364650200f04025272ac002";

bool RunTypeName(std::string_view bytes) { return SchemaText(bytes).ok(); }

}  // namespace

std::vector<Decoder> Decoders() {
  const std::vector<std::string> records = {
      RecordOf("", 0, 0), RecordOf("hello", 5, 0), RecordOf("0123456789abcdef", 40, 1),
      RecordOf("01234567", 40, 2), RecordOf("compressed", 40, 0)};
  return {{"record", &RunRecord, records},
          {"record.checked", &RunCheckedRecord, records},
          {"chunk.lz4", &RunChunk<ChunkCompression::kLz4>, {absl::HexStringToBytes(kLz4Chunk)}},
          {"chunk.zstd", &RunChunk<ChunkCompression::kZstd>, {absl::HexStringToBytes(kZstdChunk)}},
          {"type.name",
           &RunTypeName,
           {"string", "raw", "map<string,vector<pair<int32,float>>>",
            "tuple<optional<bool>,variant<monostate,array<uint16,3>>,vector<vector<string>>>"}}};
}

}  // namespace spillway
