// A spill backend keeps objects' bytes outside memory: the tier below the hot tier.
//
// The store writes batches of records, each an object's whole payload, and gets back a ticket for
// each record; with the ticket it reads the bytes again into memory of its own, or releases them.
// The backend verifies every byte it returns. It knows nothing of references, pins or policies.
//
// Life of a ticket:   Write -> ticket -> Read* -> Release
// A ticket is never reused. When the backend moves records to reclaim space, it tells the store
// through RelocationListener; a ticket that was exchanged for another one is released by the
// backend.
//
// Thread-safety: every method may be called by any number of threads at once unless it says
// otherwise.
#ifndef SPILLWAY_SPILL_SPILL_BACKEND_H_
#define SPILLWAY_SPILL_SPILL_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "serialization/object_type.h"

namespace spillway {

// Where a record lies on the spill tier. 0 is none. Monotonic, never reused within one directory.
using SpillTicket = uint64_t;
inline constexpr SpillTicket kNoTicket = 0;

// One object to write. The payload's bytes must not change or go away until Write returns.
struct SpillRecord {
  uint64_t object_id = 0;
  ObjectType type;
  absl::Span<const char> payload;
  // Found again by Scan after a restart. The write returns only when it is synced.
  bool durable = false;
  // Only for durable records: in the same change the name is bound to this object, in place of what
  // it meant before, and the durable record `supersedes` ends. See spill/durable_state.h.
  absl::string_view name = {};
  SpillTicket supersedes = kNoTicket;
  uint64_t retires = 0;  // an object that is retired in the same change, as DurableChange says
};

// What came of one record of a batch: its ticket, or why there is none.
struct SpillResult {
  absl::Status status;
  SpillTicket ticket = kNoTicket;
  // Bytes on disk, envelope and compression included.
  uint64_t disk_bytes = 0;
};

// One read. `out` has exactly the size that was written.
struct SpillRead {
  SpillTicket ticket = kNoTicket;
  uint64_t object_id = 0;
  ObjectType type;
  absl::Span<char> out;
};

// A record that Scan found.
struct SpillScanEntry {
  SpillTicket ticket = kNoTicket;
  uint64_t object_id = 0;
  ObjectType type;
  uint64_t payload_bytes = 0;
  bool durable = false;
  bool retired = false;  // as DurableChange says
};

struct SpillUsage {
  uint64_t live_bytes = 0;  // of records that are neither released nor superseded
  uint64_t held_bytes = 0;  // on disk, dead records included
  uint64_t held_bytes_peak = 0;
  uint64_t live_records = 0;
  uint64_t memory_bytes =
      0;  // that the backend takes right now, its buffers and RocksDB's included
  uint64_t written_bytes = 0;         // payload handed to Write, since open
  uint64_t device_written_bytes = 0;  // written to disk, reclaim's copies included
  uint64_t read_bytes = 0;            // payload returned by Read, since open
  uint64_t batches_written = 0;
  uint64_t batches_dropped = 0;
  uint64_t damaged_records = 0;  // reads that ended in DataLoss
};

// Hears of records that moved, and of damage that was found before anybody asked for the record.
// Called on a thread of the backend, with none of its locks held.
class RelocationListener {
 public:
  virtual ~RelocationListener() = default;
  // The record of `object_id` now also lies at `to`. Returns true if the store has exchanged the
  // ticket (the backend then releases `from`), false if it no longer holds `from` (the backend
  // releases `to`).
  virtual bool OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) = 0;
  // The record cannot be read. Returns true if the store does not need it, because it has the bytes
  // in memory, and has given up the ticket (the backend then releases it); false if it keeps it.
  virtual bool OnDamaged(SpillTicket /*ticket*/) { return false; }
};

class DurableState;

class SpillBackend {
 public:
  virtual ~SpillBackend() = default;  // calls Close

  // Names and durable records by object id; nullptr if the backend keeps none. Lives as long as the
  // backend.
  virtual DurableState* durable_state() { return nullptr; }

  // Sets who hears of moved records; nullptr for none. Set once, before the first Write.
  virtual void SetRelocationListener(RelocationListener* listener) = 0;

  // Largest number of payload bytes that one Write should carry: what the batch size follows from.
  virtual uint64_t max_batch_bytes() const = 0;

  // Memory the backend may come to use at most; the store reserves it from its budget at open.
  virtual uint64_t memory_bytes_max() const = 0;

  // Writes the records. On return the bytes are on disk (synced if any of them is durable) and
  // readable, or the record's status says why not: ResourceExhausted (no space or quota, and
  // which), Unavailable (closed) or Internal (I/O error). Records fail together or alone, as the
  // backend likes. At most two calls at once run side by side; more wait. `results` gets one entry
  // per record.
  virtual void Write(absl::Span<const SpillRecord> records, std::vector<SpillResult>* results) = 0;

  // Reads whole payloads into the given memory, in parallel where that is faster, ordered by place.
  // Blocks until all are done. `statuses` gets one entry per read: OK; NotFound (no such ticket);
  // DataLoss (checksum, envelope or size do not fit; names the object and the file), Unavailable
  // (closed), Internal (I/O error; worth another try). After a failure the contents of `out` are
  // undefined.
  virtual void Read(absl::Span<const SpillRead> reads, std::vector<absl::Status>* statuses) = 0;

  // The record is not needed any more. Never blocks on I/O; its space comes back in the background.
  // Unknown tickets are ignored.
  virtual void Release(SpillTicket ticket) = 0;

  // Calls `found` for every live durable record, in ticket order, without reading payloads. `found`
  // must not call the backend.
  virtual absl::Status Scan(const std::function<void(const SpillScanEntry&)>& found) = 0;

  virtual SpillUsage Usage() const = 0;

  // OK, or why writes are failing at present (disk full, quota, I/O errors).
  virtual absl::Status Health() const = 0;

  // Waits until the space of released records has come back, or `timeout_ms` have passed. For tests
  // and for a tidy end.
  virtual bool WaitForReclaim(int64_t timeout_ms) = 0;

  // Takes `count` consecutive object ids that were never taken in this directory, by this process
  // or an earlier one, and returns the first. On disk when it returns; take many at a time.
  virtual absl::StatusOr<uint64_t> ReserveObjectIds(uint64_t count) = 0;

  // Ends background work and closes files. Later calls answer Unavailable. Idempotent.
  virtual absl::Status Close() = 0;
};

}  // namespace spillway

#endif  // SPILLWAY_SPILL_SPILL_BACKEND_H_
