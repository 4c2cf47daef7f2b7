// Sorted runs as objects of the store.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/string_view.h"
#include "store/object_store.h"
#include "tools/spillway/sort/offset_value_code.h"

namespace spillway::sort {

// The start of a line, followed by zeros: enough to foresee in which order chunks will be used up.
using LinePrefix = std::array<unsigned char, 24>;

inline LinePrefix MakeLinePrefix(absl::string_view line) {
  LinePrefix prefix{};
  std::memcpy(prefix.data(), line.data(), std::min(line.size(), prefix.size()));
  return prefix;
}

// Complete sorted lines in one object.
struct Chunk {
  ObjectRef<RawBytes> ref;
  uint64_t bytes = 0;              // of lines; the object may be larger
  OffsetValueCode first_code = 0;  // see RunPiece
  LinePrefix last_line{};

  uint64_t held_bytes() const { return ref.size_bytes(); }
};

struct Run {
  std::vector<Chunk> chunks;

  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const Chunk& chunk : chunks) sum += chunk.bytes;
    return sum;
  }
  // What a merge has to hold of it at a time.
  uint64_t chunk_bytes_max() const {
    uint64_t most = 0;
    for (const Chunk& chunk : chunks) most = std::max(most, chunk.held_bytes());
    return most;
  }
};

}  // namespace spillway::sort

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_RUN_H_
