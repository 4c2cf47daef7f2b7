// Lets FlatBuffers build a buffer directly in an object's block.
#ifndef SPILLWAY_STORE_INTERNAL_ARENA_BUILDER_H_
#define SPILLWAY_STORE_INTERNAL_ARENA_BUILDER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "flatbuffers/flatbuffers.h"
#include "serialization/flat_buffer_limit.h"
#include "store/internal/entry.h"
#include "store/internal/store_core.h"

namespace spillway::internal {

// Hands a FlatBufferBuilder the block of one entry that is being built, and a larger one when it
// grows. A FlatBufferBuilder cannot be told that there is no memory: it then goes on in memory of
// the allocator's own, which is given up at the end, and failure() says why.
//
// Thread-safety: none; it belongs to one builder.
class ArenaBuilderAllocator final : public flatbuffers::Allocator {
 public:
  // `entry` is Building, with a block of `size` bytes.
  ArenaBuilderAllocator(StoreCore* core, Entry* entry) : core_(core), entry_(entry) {}

  const absl::Status& failure() const { return failure_; }

  uint8_t* allocate(size_t size) override {
    if (failure_.ok() && size <= entry_->size) return reinterpret_cast<uint8_t*>(BytesOf(entry_));
    return new uint8_t[size];
  }

  void deallocate(uint8_t* bytes, size_t) override {
    if (reinterpret_cast<char*>(bytes) != BytesOf(entry_)) delete[] bytes;
  }

  uint8_t* reallocate_downward(uint8_t* old_bytes, size_t old_size, size_t new_size,
                               size_t in_use_back, size_t in_use_front) override {
    // The builder asks for half as much again, or what it needs. Offsets in it do not overflow yet.
    if (failure_.ok() && new_size > 2 * kMaxFlatBufferBytes) {
      failure_ = TooLargeForFlatBuffer("this FlatBuffer", SIZE_MAX);
    }
    if (failure_.ok()) {
      // What lies at the front is the builder's scratch; both ends have to be kept.
      absl::StatusOr<uint64_t> grown = core_->Regrow(entry_, new_size, in_use_back, in_use_front);
      if (grown.ok()) return reinterpret_cast<uint8_t*>(BytesOf(entry_));
      failure_ = grown.status();
    }
    auto* bytes = new uint8_t[new_size];
    memcpy_downward(old_bytes, old_size, bytes, new_size, in_use_back, in_use_front);
    deallocate(old_bytes, old_size);
    return bytes;
  }

 private:
  StoreCore* const core_;
  Entry* const entry_;
  absl::Status failure_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_ARENA_BUILDER_H_
