// The key of a record in the database: ticket and chunk number, big-endian, so that keys sort as
// numbers do and all chunks of a record lie side by side.
#ifndef SPILLWAY_SPILL_ROCKSDB_RECORD_KEY_H_
#define SPILLWAY_SPILL_ROCKSDB_RECORD_KEY_H_

#include <cstddef>
#include <cstdint>

#include "rocksdb/slice.h"
#include "spill/spill_backend.h"

namespace spillway::internal {

class RecordKey {
 public:
  static constexpr size_t kBytes = 12;

  RecordKey(SpillTicket ticket, uint32_t chunk_number) {
    for (size_t i = 0; i < 8; ++i) bytes_[i] = static_cast<char>(ticket >> (56 - 8 * i));
    for (size_t i = 0; i < 4; ++i) bytes_[8 + i] = static_cast<char>(chunk_number >> (24 - 8 * i));
  }
  // The key behind every chunk of `ticket`.
  static RecordKey Last(SpillTicket ticket) { return RecordKey(ticket, UINT32_MAX); }

  // False if `key` is not the key of a record.
  static bool Parse(const rocksdb::Slice& key, SpillTicket* ticket, uint32_t* chunk_number) {
    if (key.size() != kBytes) return false;
    *ticket = 0;
    *chunk_number = 0;
    for (size_t i = 0; i < 8; ++i) *ticket = *ticket << 8 | static_cast<uint8_t>(key[i]);
    for (size_t i = 8; i < 12; ++i) {
      *chunk_number = *chunk_number << 8 | static_cast<uint8_t>(key[i]);
    }
    return true;
  }

  rocksdb::Slice slice() const { return rocksdb::Slice(bytes_, kBytes); }

 private:
  char bytes_[kBytes];
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_RECORD_KEY_H_
