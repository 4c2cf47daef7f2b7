#include "spill/internal/chunk_codec.h"

#include <lz4.h>
#include <zstd.h>

#include <cstring>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace spillway::internal {
namespace {

constexpr int kZstdLevel = 1;  // the disk is fast: more effort would make the processor the limit

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// A context costs a megabyte and more to set up; each thread keeps one.
ZSTD_CCtx* ThreadCompressor() {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
  return context.get();
}
ZSTD_DCtx* ThreadDecompressor() {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  return context.get();
}

}  // namespace

size_t CompressChunk(ChunkCompression compression, absl::Span<const char> chunk, char* out) {
  const size_t out_bytes_max = chunk.size() - chunk.size() / 8;
  if (chunk.size() < 64 || chunk.size() > std::numeric_limits<int>::max() / 2) return 0;
  switch (compression) {
    case ChunkCompression::kNone:
      return 0;
    case ChunkCompression::kLz4: {
      const int put =
          LZ4_compress_default(chunk.data(), out, static_cast<int>(chunk.size()),
                               static_cast<int>(out_bytes_max));  // 0 when it does not fit
      return put > 0 ? static_cast<size_t>(put) : 0;
    }
    case ChunkCompression::kZstd: {
      const size_t put = ZSTD_compressCCtx(ThreadCompressor(), out, out_bytes_max, chunk.data(),
                                           chunk.size(), kZstdLevel);
      return ZSTD_isError(put) ? 0 : put;
    }
  }
  LOG(FATAL) << "unknown compression " << static_cast<int>(compression);
  return 0;
}

absl::Status DecompressChunk(ChunkCompression compression, absl::string_view stored,
                             absl::Span<char> out) {
  size_t got = 0;
  switch (compression) {
    case ChunkCompression::kNone:
      got = stored.size();
      if (got == out.size() && got != 0) std::memcpy(out.data(), stored.data(), got);
      break;
    case ChunkCompression::kLz4: {
      const int result = LZ4_decompress_safe(
          stored.data(), out.data(), static_cast<int>(stored.size()), static_cast<int>(out.size()));
      if (result < 0) return absl::DataLossError("the LZ4 block is damaged");
      got = static_cast<size_t>(result);
      break;
    }
    case ChunkCompression::kZstd: {
      got = ZSTD_decompressDCtx(ThreadDecompressor(), out.data(), out.size(), stored.data(),
                                stored.size());
      if (ZSTD_isError(got)) {
        return absl::DataLossError(
            absl::StrCat("the Zstandard frame is damaged: ", ZSTD_getErrorName(got)));
      }
      break;
    }
  }
  if (got != out.size()) {
    return absl::DataLossError(
        absl::StrCat("the chunk is ", got, " bytes, its header says ", out.size()));
  }
  return absl::OkStatus();
}

size_t CodecMemoryBytes(ChunkCompression compression) {
  switch (compression) {
    case ChunkCompression::kNone:
      return 0;
    case ChunkCompression::kLz4:
      return 16 << 10;  // its hash table, on the stack
    case ChunkCompression::kZstd:
      return 1536 << 10;  // a level 1 compression context
  }
  return 0;
}

}  // namespace spillway::internal
