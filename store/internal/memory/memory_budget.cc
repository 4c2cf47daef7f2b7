#include "store/internal/memory/memory_budget.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace spillway {
namespace {

size_t IndexOf(MemoryUse use) { return static_cast<size_t>(use); }

}  // namespace

std::string_view MemoryUseName(MemoryUse use) {
  switch (use) {
    case MemoryUse::kArena:
      return "arena";
    case MemoryUse::kArenaMetadata:
      return "arena_metadata";
    case MemoryUse::kEntries:
      return "entries";
    case MemoryUse::kIndex:
      return "index";
    case MemoryUse::kPolicy:
      return "policy";
    case MemoryUse::kSpillBuffers:
      return "spill_buffers";
    case MemoryUse::kRestoreBuffers:
      return "restore_buffers";
    case MemoryUse::kBackend:
      return "backend";
    case MemoryUse::kOther:
      return "other";
    case MemoryUse::kCount:
      break;
  }
  LOG(FATAL) << "not a memory use: " << static_cast<int>(use);
  return "";
}

std::string MemorySnapshot::ToString() const {
  std::string text = absl::StrCat("used ", used_bytes, " of ", limit_bytes, " bytes");
  const char* separator = ": ";
  for (size_t i = 0; i < kMemoryUseCount; ++i) {
    if (bytes_by_use[i] == 0) continue;
    const std::string_view name = MemoryUseName(static_cast<MemoryUse>(i));
    absl::StrAppend(&text, separator, absl::string_view(name.data(), name.size()), " ",
                    bytes_by_use[i]);
    separator = ", ";
  }
  return text;
}

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      use_(other.use_) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    use_ = other.use_;
  }
  return *this;
}

bool Reservation::TryGrow(uint64_t bytes) {
  CHECK(budget_ != nullptr) << "an empty reservation cannot grow";
  if (!budget_->TryAcquire(use_, bytes)) return false;
  bytes_ += bytes;
  return true;
}

void Reservation::Shrink(uint64_t bytes) {
  CHECK_LE(bytes, bytes_) << "more than the reservation holds";
  if (bytes == 0) return;
  budget_->Release(use_, bytes);
  bytes_ -= bytes;
}

Reservation Reservation::Split(uint64_t bytes) {
  CHECK_LE(bytes, bytes_) << "more than the reservation holds";
  bytes_ -= bytes;
  return Reservation(budget_, use_, bytes);
}

void Reservation::Transfer(MemoryUse use) {
  if (budget_ != nullptr) budget_->Transfer(use_, use, bytes_);
  use_ = use;
}

void Reservation::Release() {
  if (budget_ != nullptr && bytes_ != 0) budget_->Release(use_, bytes_);
  budget_ = nullptr;
  bytes_ = 0;
}

uint64_t Reservation::Detach() {
  budget_ = nullptr;
  return std::exchange(bytes_, 0);
}

MemoryBudget::MemoryBudget(uint64_t limit_bytes) : limit_(limit_bytes) {}

MemoryBudget::~MemoryBudget() {
  const MemorySnapshot left = Snapshot();
  CHECK_EQ(left.used_bytes, 0u) << "bytes were not released: " << left.ToString();
}

std::optional<Reservation> MemoryBudget::TryReserve(MemoryUse use, uint64_t bytes) {
  if (!TryAcquire(use, bytes)) return std::nullopt;
  return Reservation(this, use, bytes);
}

bool MemoryBudget::TryAcquire(MemoryUse use, uint64_t bytes) {
  SpinLockHolder hold(&lock_);
  // Written so that neither an excess over the limit nor a huge request overflows.
  const uint64_t used = used_bytes(), limit = limit_bytes();
  if (used > limit || bytes > limit - used) return false;
  used_.store(used + bytes, std::memory_order_relaxed);
  by_use_[IndexOf(use)] += bytes;
  used_peak_ = std::max(used_peak_, used + bytes);
  return true;
}

void MemoryBudget::Release(MemoryUse use, uint64_t bytes) {
  bool held;
  {
    SpinLockHolder hold(&lock_);
    uint64_t& count = by_use_[IndexOf(use)];
    held = bytes <= count;
    if (held) {
      count -= bytes;
      used_.store(used_bytes() - bytes, std::memory_order_relaxed);
    }
  }
  CHECK(held) << "released " << bytes << " bytes of " << MemoryUseName(use)
              << ", more than were acquired";
}

void MemoryBudget::Transfer(MemoryUse from, MemoryUse to, uint64_t bytes) {
  bool held;
  {
    SpinLockHolder hold(&lock_);
    held = bytes <= by_use_[IndexOf(from)];
    if (held) {
      by_use_[IndexOf(from)] -= bytes;
      by_use_[IndexOf(to)] += bytes;
    }
  }
  CHECK(held) << "transferred " << bytes << " bytes of " << MemoryUseName(from)
              << ", more than were acquired";
}

void MemoryBudget::SetLimit(uint64_t limit_bytes) {
  SpinLockHolder hold(&lock_);
  limit_.store(limit_bytes, std::memory_order_relaxed);
}

uint64_t MemoryBudget::available_bytes() const {
  SpinLockHolder hold(&lock_);
  return limit_bytes() - std::min(limit_bytes(), used_bytes());
}

uint64_t MemoryBudget::excess_bytes() const {
  SpinLockHolder hold(&lock_);
  return used_bytes() - std::min(limit_bytes(), used_bytes());
}

MemorySnapshot MemoryBudget::Snapshot() const {
  MemorySnapshot snapshot;
  SpinLockHolder hold(&lock_);
  snapshot.limit_bytes = limit_bytes();
  snapshot.used_bytes = used_bytes();
  snapshot.used_bytes_peak = used_peak_;
  snapshot.bytes_by_use = by_use_;
  return snapshot;
}

}  // namespace spillway
