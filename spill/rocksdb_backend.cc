#include "spill/rocksdb_backend.h"

#include "spill/rocksdb/backend_impl.h"

namespace spillway {

absl::StatusOr<std::unique_ptr<SpillBackend>> OpenRocksDbBackend(
    const RocksDbBackendOptions& options) {
  return internal::RocksDbBackend::Open(options);
}

}  // namespace spillway
