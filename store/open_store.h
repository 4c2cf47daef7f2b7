// Opens a store with the RocksDB spill tier. The only part of store/ that knows a backend by name.
#ifndef SPILLWAY_STORE_OPEN_STORE_H_
#define SPILLWAY_STORE_OPEN_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "store/object_store.h"
#include "store/options.h"

namespace spillway {

// Opens the spill tier in options.spill_directory, if there is one, and a store over it.
// InvalidArgument: an option; the message names it. FailedPrecondition: the directory is in use (by
// which process) or holds something else. PermissionDenied: it cannot be written.
// ResourceExhausted: the memory limit is too small.
absl::StatusOr<std::unique_ptr<ObjectStore>> OpenStore(const StoreOptions& options);

}  // namespace spillway

#endif  // SPILLWAY_STORE_OPEN_STORE_H_
