#include "store/internal/entry_table.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>
#include <utility>

#include "glog/logging.h"

namespace spillway::internal {

namespace {

constexpr size_t kHugePageBytes = 2 * 1024 * 1024;
static_assert(kHugePageBytes % kSlabBytes == 0);

// From here on a huge page more is at most a quarter more.
constexpr uint32_t kHugePagesFromSlabs = 4 * kHugePageBytes / kSlabBytes;

constexpr size_t kSlabPointersBytes = EntryTable::kSlabsMax * sizeof(std::atomic<char*>);

std::atomic<char*>* ReserveSlabPointers() {
  void* memory = mmap(nullptr, kSlabPointersBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  PCHECK(memory != MAP_FAILED) << "cannot reserve address space for the entry table";
  return static_cast<std::atomic<char*>*>(memory);
}

}  // namespace

EntryTable::EntryTable(StoreCore* core, char* arena_base, MemoryBudget* budget)
    : core_(core), arena_base_(arena_base), budget_(budget), slabs_(ReserveSlabPointers()) {}

EntryTable::~EntryTable() {
  MutexLock lock(&growth_mutex_);
  for (void* allocation : allocations_) std::free(allocation);
  budget_->Release(MemoryUse::kEntries, charged_bytes_);
  munmap(static_cast<void*>(slabs_), kSlabPointersBytes);
}

Entry* EntryTable::TakeFree() {
  SpinLockHolder hold(&lock_);
  if (free_head_ == 0) return nullptr;
  Entry* entry = At(free_head_);
  free_head_ = entry->next;
  entry->next = 0;
  used_.store(used() + 1, std::memory_order_relaxed);
  return entry;
}

Entry* EntryTable::Allocate() {
  Entry* entry = TakeFree();
  if (entry != nullptr) [[likely]]
    return entry;
  MutexLock lock(&growth_mutex_);
  // The table may have grown while this thread waited, and others may be quicker to use it up.
  do {
    entry = TakeFree();
  } while (entry == nullptr && AddSlab());
  return entry;
}

void EntryTable::Free(Entry* entry) {
  SpinLockHolder hold(&lock_);
  entry->next = free_head_;
  free_head_ = entry->slot;
  used_.store(used() - 1, std::memory_order_relaxed);
}

char* EntryTable::TakeSlabMemory() {
  if (spare_bytes_ == 0) {
    size_t bytes = kSlabBytes;
    if (slabs_used_.load(std::memory_order_relaxed) >= kHugePagesFromSlabs &&
        budget_->TryAcquire(MemoryUse::kEntries, kHugePageBytes)) {
      bytes = kHugePageBytes;
    } else if (!budget_->TryAcquire(MemoryUse::kEntries, kSlabBytes)) {
      return nullptr;
    }
    spare_ = static_cast<char*>(std::aligned_alloc(bytes, bytes));
    if (spare_ == nullptr) {
      budget_->Release(MemoryUse::kEntries, bytes);
      return nullptr;
    }
    // Refused where the kernel has none; small pages do, too.
    if (bytes == kHugePageBytes) madvise(spare_, bytes, MADV_HUGEPAGE);
    spare_bytes_ = bytes;
    charged_bytes_ += bytes;
    allocations_.push_back(spare_);
  }
  spare_bytes_ -= kSlabBytes;
  return std::exchange(spare_, spare_ + kSlabBytes);
}

bool EntryTable::AddSlab() {
  const uint32_t index = slabs_used_.load(std::memory_order_relaxed);
  if (index == kSlabsMax) return false;
  char* slab = TakeSlabMemory();
  if (slab == nullptr) return false;
  new (slab) SlabHeader{core_, arena_base_};
  const uint32_t first = index * kSlotsPerSlab;
  Entry* last = nullptr;
  for (uint32_t i = 1; i < kSlotsPerSlab; ++i) {
    last = new (slab + i * sizeof(Entry)) Entry;
    last->slot = first + i;
    last->next = first + i + 1;
  }
  slabs_[index].store(slab, std::memory_order_release);
  slabs_used_.store(index + 1, std::memory_order_release);
  SpinLockHolder hold(&lock_);
  last->next = free_head_;
  free_head_ = first + 1;
  return true;
}

}  // namespace spillway::internal
