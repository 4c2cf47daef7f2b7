// Sizes in bytes as people write them: "512MiB", "1.5G", "64K", "50%" of the memory that is there.
//
// Suffixes follow GNU's convention (`sort -S`, `dd`): K, M, G, T, P and KiB, MiB, GiB, TiB, PiB are
// powers of 1024; KB, MB, GB, TB, PB are powers of 1000; B or nothing is bytes. Case does not
// matter, and one space may stand before the suffix. A fraction is allowed where it comes out at
// whole bytes or is rounded down to them.
//
// Thread-safety: functions without state.
#ifndef SPILLWAY_RUNTIME_SIZE_PARSE_H_
#define SPILLWAY_RUNTIME_SIZE_PARSE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spillway {

// Parses a size in bytes. InvalidArgument, with a message that quotes `text` and says what is
// wrong, if it is empty, negative, no number, has an unknown suffix or is beyond 64 bits.
absl::StatusOr<uint64_t> ParseSize(absl::string_view text);

// As ParseSize, and "50%" (0 < percentage <= 100) is that share of `whole_bytes`.
absl::StatusOr<uint64_t> ParseSizeOrPercentage(absl::string_view text, uint64_t whole_bytes);

// Whether `text` is written as a percentage, well formed or not: the caller needs to know the
// whole.
bool IsPercentage(absl::string_view text);

// The shortest spelling in binary units with at most one decimal: "512 MiB", "1.5 GiB", "17 B". For
// people; the value may be rounded.
std::string FormatSize(uint64_t bytes);

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_SIZE_PARSE_H_
