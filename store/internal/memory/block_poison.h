// Tells the address sanitizer which memory of the region belongs to a block. Without it, nothing.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_BLOCK_POISON_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_BLOCK_POISON_H_

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define SPILLWAY_BLOCK_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SPILLWAY_BLOCK_POISON 1
#endif
#endif

#ifdef SPILLWAY_BLOCK_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace spillway {

// Nobody may touch the bytes from now on.
inline void PoisonBlocks([[maybe_unused]] const void* data, [[maybe_unused]] size_t bytes) {
#ifdef SPILLWAY_BLOCK_POISON
  ASAN_POISON_MEMORY_REGION(data, bytes);
#endif
}

// The bytes belong to a block, or are nobody's business any more.
inline void UnpoisonBlocks([[maybe_unused]] const void* data, [[maybe_unused]] size_t bytes) {
#ifdef SPILLWAY_BLOCK_POISON
  ASAN_UNPOISON_MEMORY_REGION(data, bytes);
#endif
}

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_BLOCK_POISON_H_
