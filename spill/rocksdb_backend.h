// The spill tier on disk: batches of records as sorted files that RocksDB takes in as they are.
//
// How it works. A batch becomes one SST file, built with direct I/O and ingested: no memtable, no
// write-ahead log, no compaction, so that every byte is written once. A record's key is its spill
// ticket and a chunk number; tickets are taken when the batch is begun, so that the files of
// batches never overlap. Large payloads are split into chunks that are read back in parallel
// straight into the caller's memory. Space comes back by dropping whole files: at once when nothing
// in a file is live, and by copying the live records of the emptiest files forward when too much on
// disk is dead.
//
//   RocksDbBackendOptions options;
//   options.spill_directory = "/var/tmp/app";
//   ASSIGN_OR_RETURN(std::unique_ptr<SpillBackend> backend, OpenRocksDbBackend(options));
#ifndef SPILLWAY_SPILL_ROCKSDB_BACKEND_H_
#define SPILLWAY_SPILL_ROCKSDB_BACKEND_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "spill/spill_backend.h"
#include "spill/spill_options.h"

namespace spillway {

struct RocksDbBackendOptions {
  // Made if it is not there. Must be empty or a spill directory, and in use by nobody else.
  std::string spill_directory;

  // Most bytes on disk; 0 for as many as the file system has.
  uint64_t spill_limit_bytes = 0;
  // Writes are refused when less than this would stay free on the file system.
  uint64_t free_space_reserve_bytes = 64 << 20;

  // Most payload bytes per batch. Smaller batches give space back sooner, larger ones write faster.
  uint64_t max_batch_bytes = 64 << 20;
  // Memory for buffers, tables and caches together. At least 2 MiB.
  uint64_t memory_budget_bytes = 32 << 20;
  // Payloads are split into chunks of this size; 0 chooses by the memory budget. 4 KiB to 16 MiB.
  uint64_t chunk_bytes = 0;
  // Threads that help callers of Read. 0 to 64.
  int reader_threads = 8;

  SpillCompression compression = SpillCompression::kNone;
  SpillRecovery recovery = SpillRecovery::kDiscard;
  // Bypasses the page cache where the file system can; a warning is logged where it cannot.
  bool direct_io = true;
  // For tools: changes nothing, also while another process has the directory open. Write fails.
  bool read_only = false;
  // With read_only: only while no other process has the directory open; it is then ours.
  bool exclusive = false;

  // Sizes that suit a store of `memory_limit_bytes`; set the rest afterwards.
  static RocksDbBackendOptions ForMemoryLimit(uint64_t memory_limit_bytes);
};

// InvalidArgument (an option), FailedPrecondition (the directory belongs to somebody else, is in
// use, or has a newer format; names the holder), PermissionDenied, DataLoss (the database cannot be
// read), ResourceExhausted (no space), Internal (I/O error).
absl::StatusOr<std::unique_ptr<SpillBackend>> OpenRocksDbBackend(
    const RocksDbBackendOptions& options);

}  // namespace spillway

#endif  // SPILLWAY_SPILL_ROCKSDB_BACKEND_H_
