#include "store/open_store.h"

#include <utility>

#include "spill/rocksdb_backend.h"

namespace spillway {

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenStore(const StoreOptions& options) {
  // Before the directory is touched: a bad option must leave no trace on disk.
  if (absl::Status status = ValidateStoreOptions(options); !status.ok()) return status;
  if (options.spill_directory.empty()) return ObjectStore::Open(options, nullptr);
  RocksDbBackendOptions backend_options =
      RocksDbBackendOptions::ForMemoryLimit(options.memory_limit_bytes);
  backend_options.spill_directory = options.spill_directory;
  backend_options.spill_limit_bytes = options.spill_limit_bytes;
  backend_options.recovery = options.recovery;
  backend_options.compression = options.spill_compression;
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = OpenRocksDbBackend(backend_options);
  if (!backend.ok()) return backend.status();
  return ObjectStore::Open(options, *std::move(backend));
}

}  // namespace spillway
