// What the backend knows of its batches: which tickets are live, how many bytes that is, and which
// batches are worth reclaiming. Pure bookkeeping without I/O, kept small: a bit and at most four
// bytes per record.
//
//   life of a batch:  Add -> (Pin, Release, Unpin)* -> dead: nothing live, nobody reads -> TakeDead
//
// Thread-compatible: the owner holds a lock around every call.
#ifndef SPILLWAY_SPILL_INTERNAL_BATCH_TABLE_H_
#define SPILLWAY_SPILL_INTERNAL_BATCH_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/btree_map.h"
#include "spill/spill_backend.h"

namespace spillway::internal {

// One file of records. Its tickets are first_ticket, first_ticket + 1, ...
class Batch {
 public:
  // `disk_bytes` has one entry per record. All records are live at first.
  Batch(SpillTicket first_ticket, uint32_t chunk_stride_bytes, bool durable, uint64_t file_bytes,
        const std::vector<uint64_t>& disk_bytes);

  SpillTicket first_ticket() const { return first_ticket_; }
  SpillTicket last_ticket() const { return first_ticket_ + record_count_ - 1; }
  uint32_t record_count() const { return record_count_; }
  uint32_t chunk_stride_bytes() const { return chunk_stride_bytes_; }
  bool durable() const { return durable_; }
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t live_bytes() const { return live_bytes_; }
  uint32_t live_count() const { return live_count_; }

  bool live(SpillTicket ticket) const {
    const uint64_t index = ticket - first_ticket_;
    return index < record_count_ && (live_bits_[index / 64] >> (index % 64) & 1) != 0;
  }
  // Bytes of the record on disk, rounded up.
  uint64_t disk_bytes(SpillTicket ticket) const {
    const uint64_t index = ticket - first_ticket_;
    return uint64_t{units_[units_.size() == 1 ? 0 : index]} * kUnitBytes;
  }
  // The first live ticket at or after `ticket`, or kNoTicket.
  SpillTicket NextLive(SpillTicket ticket) const;

  size_t memory_bytes() const;

 private:
  friend class BatchTable;

  static constexpr uint64_t kUnitBytes = 16;

  const SpillTicket first_ticket_;
  const uint32_t record_count_;
  const uint32_t chunk_stride_bytes_;
  const bool durable_;
  const uint64_t file_bytes_;

  uint32_t live_count_;
  uint32_t pins_ = 0;
  // It holds a damaged record that cannot be copied: not a victim again.
  bool unmovable_ = false;
  uint64_t live_bytes_ = 0;
  std::vector<uint64_t> live_bits_;
  // Sizes in units of kUnitBytes; a single entry when all are the same.
  std::vector<uint32_t> units_;
};

class BatchTable {
 public:
  // Takes in a batch whose file is readable.
  void Add(std::unique_ptr<Batch> batch);

  // The batch of a live ticket, kept from being dropped until Unpin; nullptr if it is not live.
  Batch* Pin(SpillTicket ticket);
  // Keeps a batch that is known to be there.
  void PinBatch(Batch* batch) { ++batch->pins_; }
  // True if the batch is dead now.
  bool Unpin(Batch* batch);

  // Ends the life of a record. False, and no effect, if it was not live. Sets *dead if its batch
  // died.
  bool Release(SpillTicket ticket, bool* dead);

  void MarkUnmovable(Batch* batch) { batch->unmovable_ = true; }

  // Hands out at most `count` dead batches; the caller deletes their files, then calls Dropped.
  std::vector<std::unique_ptr<Batch>> TakeDead(size_t count);
  void Dropped(uint64_t file_bytes) { held_bytes_ -= file_bytes; }
  // Puts back what could not be dropped.
  void PutBackDead(std::vector<std::unique_ptr<Batch>> batches);

  // Batches whose live records together fit in `bytes_max` and `records_max`, the emptiest first.
  // Only batches of the given kind that have a live share below `live_share_max` count. Empty if
  // copying them would free nothing.
  std::vector<Batch*> PickVictims(bool durable, uint64_t bytes_max, uint64_t records_max,
                                  double live_share_max) const;

  const absl::btree_map<SpillTicket, std::unique_ptr<Batch>>& batches() const { return batches_; }
  uint64_t live_bytes() const { return live_bytes_; }
  uint64_t held_bytes() const { return held_bytes_; }
  uint64_t live_records() const { return live_records_; }
  bool has_dead() const { return !dead_.empty(); }
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  Batch* Find(SpillTicket ticket) const;
  bool NoteIfDead(Batch* batch);

  absl::btree_map<SpillTicket, std::unique_ptr<Batch>> batches_;  // by first ticket
  std::vector<SpillTicket> dead_;                                 // first tickets
  uint64_t live_bytes_ = 0;
  uint64_t held_bytes_ = 0;
  uint64_t live_records_ = 0;
  size_t memory_bytes_ = 0;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_BATCH_TABLE_H_
