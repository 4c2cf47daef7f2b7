// SlabVector: an array that grows in fixed-size chunks.
//
// What it is for: per-slot state of the hot tier, which must cost what it holds. A std::vector that
// doubles wastes up to half of its memory and moves everything when it grows; here at most one
// chunk is unused, and an element never moves.
//
// Thread-safety: none.
#ifndef SPILLWAY_STORE_INTERNAL_SLAB_VECTOR_H_
#define SPILLWAY_STORE_INTERNAL_SLAB_VECTOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace spillway::internal {

// T is default-constructed when its chunk is made. A chunk holds 2^kChunkShift elements.
template <typename T, int kChunkShift = 12>
class SlabVector {
 public:
  static constexpr size_t kChunkElements = size_t{1} << kChunkShift;

  // Elements that exist: a multiple of kChunkElements.
  size_t size() const { return chunks_.size() << kChunkShift; }

  // Makes sure that element `index` exists.
  void Cover(size_t index) {
    while (index >= size()) chunks_.push_back(std::make_unique<T[]>(kChunkElements));
  }

  // Gives back whole chunks beyond the first `count` elements.
  void Trim(size_t count) {
    while (!chunks_.empty() && size() - kChunkElements >= count) chunks_.pop_back();
  }

  // REQUIRES: index < size().
  T& operator[](size_t index) {
    return chunks_[index >> kChunkShift][index & (kChunkElements - 1)];
  }
  const T& operator[](size_t index) const {
    return chunks_[index >> kChunkShift][index & (kChunkElements - 1)];
  }

  // Bytes allocated.
  uint64_t MemoryBytes() const {
    return chunks_.size() * kChunkElements * sizeof(T) + chunks_.capacity() * sizeof(chunks_[0]);
  }

 private:
  std::vector<std::unique_ptr<T[]>> chunks_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_SLAB_VECTOR_H_
