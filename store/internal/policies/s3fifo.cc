#include "store/internal/policies/s3fifo.h"

#include <algorithm>

namespace spillway::internal {
namespace {

constexpr int kHitsToMain = 2;     // in the small queue
constexpr int kMainRoundsMax = 3;  // that hits can earn at once

// More ghosts than this multiple of the most objects ever resident are not kept, however small they
// are: the memory of ghosts stays in proportion.
constexpr uint64_t kGhostsPerResidentMax = 8;
constexpr uint64_t kGhostsMin = uint64_t{64} * 1024;

}  // namespace

void S3FifoPolicy::SetCapacity(uint64_t capacity_bytes) {
  small_capacity_bytes_ = static_cast<uint64_t>(static_cast<double>(capacity_bytes) * 0.1);
  main_capacity_bytes_ = capacity_bytes - small_capacity_bytes_;
  ghosts_.SetCapacity(static_cast<uint64_t>(static_cast<double>(capacity_bytes) * 0.9));
}

void S3FifoPolicy::Miss(uint64_t key, uint64_t /*size_bytes*/) {
  returning_key_ = ghosts_.Take(key) ? key : 0;
}

void S3FifoPolicy::InsertInto(bool main, SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Node& node = residents_.Add(slot, size_bytes);
  node.key_low = static_cast<uint32_t>(key);
  node.key_high = static_cast<uint32_t>(key >> 32);
  node.tag = main;
  (main ? main_ : small_).PushHead(residents_, slot);
  if (main) main_bytes_ += size_bytes;
  if (residents_.objects() > residents_peak_) {
    residents_peak_ = residents_.objects();
    ghosts_.SetObjectsMax(std::max(kGhostsMin, kGhostsPerResidentMax * residents_peak_));
  }
}

void S3FifoPolicy::Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  const bool returning = returning_key_ == key && key != 0;
  returning_key_ = 0;
  InsertInto(returning, slot, key, size_bytes);
}

void S3FifoPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  ghosts_.Take(key);
  InsertInto(true, slot, key, size_bytes);
}

void S3FifoPolicy::Remove(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  const bool main = residents_[slot].tag;
  (main ? main_ : small_).Unlink(residents_, slot);
  if (main) main_bytes_ -= residents_.SizeOf(slot);
  residents_.Erase(slot);
}

void S3FifoPolicy::MoveToMainHead(SlotIndex slot) {
  Node& node = residents_[slot];
  if (node.tag) {
    main_.Unlink(residents_, slot);
  } else {
    small_.Unlink(residents_, slot);
    node.tag = 1;
    main_bytes_ += residents_.SizeOf(slot);
  }
  main_.PushHead(residents_, slot);
}

std::optional<SlotIndex> S3FifoPolicy::EvictFromSmall() {
  while (!small_.empty()) {
    const SlotIndex slot = small_.tail();
    if (marks_->Get(slot) >= kHitsToMain) {
      marks_->Set(slot, 0);
      MoveToMainHead(slot);
      continue;
    }
    const Node& node = residents_[slot];
    const uint64_t key = (uint64_t{node.key_high} << 32) | node.key_low;
    const uint64_t size_bytes = residents_.SizeOf(slot);
    Remove(slot);
    ghosts_.Take(key);
    ghosts_.Add(key, size_bytes);
    return slot;
  }
  return std::nullopt;
}

SlotIndex S3FifoPolicy::EvictFromMain() {
  // Readers may set marks while the queue is swept; then somebody has to leave all the same.
  uint64_t spared_max = (kMainRoundsMax + 1) * residents_.objects();
  while (true) {
    const SlotIndex slot = main_.tail();
    const int hits = marks_->Get(slot);
    if (hits == 0 || spared_max-- == 0) {
      Remove(slot);
      return slot;
    }
    marks_->Set(slot, static_cast<uint8_t>(std::min(hits, kMainRoundsMax) - 1));
    MoveToMainHead(slot);
  }
}

std::optional<SlotIndex> S3FifoPolicy::Evict() {
  if (residents_.objects() == 0) return std::nullopt;
  if (main_bytes_ <= main_capacity_bytes_) {
    const std::optional<SlotIndex> victim = EvictFromSmall();
    if (victim.has_value()) return victim;
  }
  return main_.empty() ? EvictFromSmall() : EvictFromMain();
}

}  // namespace spillway::internal
