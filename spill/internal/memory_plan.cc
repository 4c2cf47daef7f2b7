#include "spill/internal/memory_plan.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "serialization/record.h"
#include "spill/internal/chunk_codec.h"

namespace spillway::internal {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;

// Copies that RocksDB holds of a chunk at once: while building, the record, its block and the last
// block; while reading, the bytes as read, the block and the value.
constexpr uint64_t kBuildCopies = 3;
constexpr uint64_t kReadCopies = 3;

// Of an open SST: reader, properties, file handle. Measured; the index comes on top of it.
constexpr uint64_t kTableBytes = 12 * kKiB;
// An index takes about ten bytes per block, and blocks are 4 KiB and more.
constexpr uint64_t kIndexShare = 4 * kKiB / 12;

ChunkCompression ToChunkCompression(SpillCompression compression) {
  switch (compression) {
    case SpillCompression::kLz4:
      return ChunkCompression::kLz4;
    case SpillCompression::kZstd:
      return ChunkCompression::kZstd;
    case SpillCompression::kNone:
      break;
  }
  return ChunkCompression::kNone;
}

absl::Status CheckRange(const char* option, uint64_t value, uint64_t min, uint64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " is ", value, ", it must lie between ", min, " and ", max));
}

}  // namespace

absl::StatusOr<MemoryPlan> PlanMemory(const RocksDbBackendOptions& options) {
  for (const absl::Status& status : {
           CheckRange("memory_budget_bytes", options.memory_budget_bytes, 2 * kMiB, UINT64_MAX),
           CheckRange("max_batch_bytes", options.max_batch_bytes, 64 * kKiB, 4096 * kMiB),
           CheckRange("reader_threads", static_cast<uint64_t>(options.reader_threads), 0, 64),
           options.chunk_bytes == 0
               ? absl::OkStatus()
               : CheckRange("chunk_bytes", options.chunk_bytes, 4 * kKiB, 16 * kMiB),
       }) {
    if (!status.ok()) return status;
  }
  const uint64_t budget = options.memory_budget_bytes;
  MemoryPlan plan;
  plan.chunk_stride_bytes = static_cast<uint32_t>(
      options.chunk_bytes != 0 ? options.chunk_bytes
                               : std::clamp(std::bit_floor(budget / 32), 64 * kKiB, 256 * kKiB));
  const uint64_t stride = plan.chunk_stride_bytes;
  const uint64_t codec = CodecMemoryBytes(ToChunkCompression(options.compression));

  plan.file_buffer_bytes = std::clamp(std::bit_floor(budget / 32), 128 * kKiB, 1 * kMiB);
  plan.builder_bytes = 2 * plan.file_buffer_bytes + kBuildCopies * stride + codec +
                       options.max_batch_bytes / kIndexShare;
  plan.read_bytes_per_chunk = kReadCopies * (stride + 8 * kKiB) + codec / 8;
  plan.read_bytes =
      std::clamp(budget / 4, 2 * plan.read_bytes_per_chunk,
                 static_cast<uint64_t>(2 * options.reader_threads + 4) * plan.read_bytes_per_chunk);
  plan.memtable_bytes = std::clamp(std::bit_floor(budget / 32), 64 * kKiB, 4 * kMiB);
  plan.relocation_records_max = std::clamp<uint64_t>(budget / 512, 4096, 65536);

  plan.fixed_bytes = 512 * kKiB + static_cast<uint64_t>(options.reader_threads + 1) * 24 * kKiB +
                     plan.relocation_records_max * 24;
  const uint64_t spent =
      kBuilders * plan.builder_bytes + plan.read_bytes + 2 * plan.memtable_bytes + plan.fixed_bytes;
  const uint64_t per_table = kTableBytes + options.max_batch_bytes / kIndexShare;
  const uint64_t for_tables = std::max(budget > spent ? budget - spent : 0, 32 * per_table);
  plan.open_tables_max = static_cast<int>(std::min<uint64_t>(for_tables / per_table, 100000));
  plan.open_tables_bytes = static_cast<uint64_t>(plan.open_tables_max) * per_table;
  plan.total_bytes = spent + plan.open_tables_bytes;
  return plan;
}

}  // namespace spillway::internal

namespace spillway {

RocksDbBackendOptions RocksDbBackendOptions::ForMemoryLimit(uint64_t memory_limit_bytes) {
  constexpr uint64_t kMiB = 1 << 20;
  RocksDbBackendOptions options;
  options.max_batch_bytes = std::clamp(memory_limit_bytes / 8, 1 * kMiB, 64 * kMiB);
  options.memory_budget_bytes = std::clamp(memory_limit_bytes / 16, 3 * kMiB, 256 * kMiB);
  options.reader_threads = memory_limit_bytes < 64 * kMiB ? 4 : 8;
  return options;
}

}  // namespace spillway
