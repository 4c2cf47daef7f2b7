// A cheap mix of the bits of an object's key. Keys are counters, so that the identity would do
// badly in a table of which only the top bits are used.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_KEY_HASH_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_KEY_HASH_H_

#include <cstdint>

namespace spillway::internal {

// A bijection of 64 bits: multiply, fold, multiply. The high bits are the best ones.
inline uint64_t HashKey(uint64_t key) {
  key *= 0x9e3779b97f4a7c15u;
  key ^= key >> 32;
  key *= 0xd6e8feb86659fd93u;
  return key ^ (key >> 32);
}

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_KEY_HASH_H_
