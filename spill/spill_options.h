// Choices about a spill directory that the layers above hand down.
#ifndef SPILLWAY_SPILL_SPILL_OPTIONS_H_
#define SPILLWAY_SPILL_SPILL_OPTIONS_H_

#include <cstdint>

namespace spillway {

// How records are compressed on disk. A record that does not shrink is stored as it is.
enum class SpillCompression : uint8_t { kNone, kLz4, kZstd };

// What becomes of the records and names of an earlier process.
enum class SpillRecovery : uint8_t {
  kDiscard,  // all are wiped, durable ones too: the directory is scratch
  kKeep,     // durable ones are kept and found again, the others are wiped
};

}  // namespace spillway

#endif  // SPILLWAY_SPILL_SPILL_OPTIONS_H_
