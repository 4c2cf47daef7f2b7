// Compression of a chunk's bytes, as the record envelope names it.
#ifndef SPILLWAY_SPILL_INTERNAL_CHUNK_CODEC_H_
#define SPILLWAY_SPILL_INTERNAL_CHUNK_CODEC_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "serialization/record.h"

namespace spillway::internal {

// Compresses `chunk` into `out`, which has at least chunk.size() bytes. Returns the number of bytes
// written, or 0 if that would not save an eighth: the chunk is then to be stored as it is.
size_t CompressChunk(ChunkCompression compression, absl::Span<const char> chunk, char* out);

// Restores exactly out.size() bytes. DataLoss if `stored` is not the compressed form of so many.
absl::Status DecompressChunk(ChunkCompression compression, absl::string_view stored,
                             absl::Span<char> out);

// Memory that one thread may come to need for it.
size_t CodecMemoryBytes(ChunkCompression compression);

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_INTERNAL_CHUNK_CODEC_H_
