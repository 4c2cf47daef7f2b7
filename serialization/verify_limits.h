// How much structure a payload of unknown origin may have.
#ifndef SPILLWAY_SERIALIZATION_VERIFY_LIMITS_H_
#define SPILLWAY_SERIALIZATION_VERIFY_LIMITS_H_

#include <cstdint>

namespace spillway {

// Bounds on the work of verifying a payload and of reading it afterwards. What verifies but exceeds
// a limit is refused as bytes that do not verify are.
struct VerifyLimits {
  // Tables in tables. Deeper payloads could exhaust the stack of a reader that recurses.
  uint32_t max_depth = 64;

  // Tables, strings and vectors visited, for each byte of payload and beyond a fixed allowance.
  // Every visit follows a reference of four bytes, so an honest payload stays below a quarter of
  // this even where it shares parts; one that reuses the same parts again and again to cost
  // exponential time does not.
  uint32_t max_visits_per_byte = 1;
  uint32_t max_visits_allowance = 1024;

  // Bytes of strings and vectors, each counted as often as it is referred to, for each byte of
  // payload and beyond a fixed allowance. Decoding makes a copy for each reference; this is how
  // much larger than its payload a value can become.
  uint32_t max_expansion = 64;
  uint32_t max_expansion_allowance = 1 << 20;
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_VERIFY_LIMITS_H_
