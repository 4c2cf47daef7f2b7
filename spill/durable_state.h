// What a spill tier remembers beyond the process: durable records by object id, and names.
//
// A backend that can keep state hands this out beside its SpillBackend. Records become durable by
// SpillBackend::Write, with a name where they are to have one; everything else about them is done
// here. Every change is on disk, synced, when its call returns OK, and is there as a whole or not
// at all after a crash. Concurrent changes share a sync.
//
// Thread-safety: every method may be called by any number of threads at once.
#ifndef SPILLWAY_SPILL_DURABLE_STATE_H_
#define SPILLWAY_SPILL_DURABLE_STATE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "spill/spill_backend.h"

namespace spillway {

inline constexpr size_t kNameBytesMax = 1024;

// OK if the name may be bound; InvalidArgument.
inline absl::Status CheckName(absl::string_view name) {
  if (!name.empty() && name.size() <= kNameBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a name has 1 to ", kNameBytesMax, " bytes, this one has ", name.size()));
}

// A change that happens as a whole.
struct DurableChange {
  struct Binding {
    std::string name;
    uint64_t object_id = 0;
  };
  std::vector<Binding> bind = {};         // in place of what the name meant before
  std::vector<std::string> unbind = {};   // names that are not bound are ignored
  std::vector<SpillTicket> release = {};  // durable records that end; unknown tickets are ignored
  // The durable records of these objects end, wherever they lie, and their names are unbound.
  std::vector<uint64_t> end = {};
  // These objects are kept by nobody but the process that uses them: if they have no name, their
  // durable records end at the next open of the directory. Objects without one are ignored.
  std::vector<uint64_t> retire = {};
  std::vector<uint64_t> unretire = {};  // takes that back
};

class DurableState {
 public:
  virtual ~DurableState() = default;

  // Makes the change. InvalidArgument (a name that is empty or longer than kNameBytesMax),
  // ResourceExhausted (no space), Internal (I/O error), Unavailable (closed). After a failure names
  // are as before; records that were to be released can no longer be read, and may be back after a
  // restart.
  virtual absl::Status Commit(const DurableChange& change) = 0;

  // The object that the name is bound to; NotFound.
  virtual absl::StatusOr<uint64_t> FindName(absl::string_view name) = 0;

  // Calls `found` for each name that begins with `prefix` and comes after `after`, in byte order,
  // until it returns false. Names that are bound or unbound meanwhile may be missed. `found` must
  // not call the backend.
  virtual absl::Status ListNames(
      absl::string_view prefix, absl::string_view after,
      const std::function<bool(absl::string_view name, uint64_t object_id)>& found) = 0;

  // All names that are bound to the object, in byte order.
  virtual absl::StatusOr<std::vector<std::string>> NamesOf(uint64_t object_id) = 0;

  // The durable record of the object; NotFound.
  virtual absl::StatusOr<SpillScanEntry> FindObject(uint64_t object_id) = 0;
};

}  // namespace spillway

#endif  // SPILLWAY_SPILL_DURABLE_STATE_H_
