// Cache traces: sequences of gets of objects with sizes, read from files.
//
// Two formats, told apart by their first bytes; either may be compressed with zstd:
//
//   OBJTRC01, little-endian, without padding:
//     char magic[8] = "OBJTRC01"; u32 flags; u32 n_objects; u64 n_requests;
//     u32 object_size[n_objects];    an object keeps its size
//     u32 object_id[n_requests];     dense, below n_objects
//     u32 dt_ms[n_requests];         only if flags & 1; skipped here
//   CSV: one request a line, `id,size`, both unsigned decimal; further fields, empty lines, a first
//   line
//     that does not begin with a digit, and lines that begin with '#' are skipped. An id keeps the
//     size that it first came with.
#ifndef SPILLWAY_BENCHMARKS_TRACE_H_
#define SPILLWAY_BENCHMARKS_TRACE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace spillway {

struct Trace {
  std::string name;
  std::vector<uint32_t> object_size_bytes;  // by dense object number
  std::vector<uint32_t> requests;           // object numbers, each below object_size_bytes.size()

  uint64_t UniqueBytes() const;   // of the objects that are requested or listed
  uint64_t RequestBytes() const;  // of all requests
};

struct TraceReadOptions {
  uint64_t requests_max = uint64_t{1} << 31;  // of the file; more is ResourceExhausted
  uint64_t take_requests_max = ~uint64_t{0};  // keep only the first ones
};

// Reads a trace. The trace is named after the file, without folder and extensions.
// The status of errno, such as NotFound, if the file cannot be opened or read; InvalidArgument,
// with the position, if it is not a trace, is cut short, has bytes left over, or contradicts
// itself; ResourceExhausted beyond the options' limits. Memory is taken as data arrives, never on
// the word of a header.
absl::StatusOr<Trace> ReadTrace(const std::string& path, const TraceReadOptions& options = {});

// The same from bytes in memory.
absl::StatusOr<Trace> ParseTrace(std::string_view bytes, std::string name,
                                 const TraceReadOptions& options = {});

// Encodes as OBJTRC01, without times, uncompressed.
std::string EncodeTrace(const Trace& trace);

}  // namespace spillway

#endif  // SPILLWAY_BENCHMARKS_TRACE_H_
